// SPDX-License-Identifier: GPL-2.0-or-later
/* what: ACPI power management of the PIIX4 (function 3): PM1 block, PM timer, GPE0, SMI command port, power off */
#ifndef DEV_PCI_PIIX4_PM_H
#define DEV_PCI_PIIX4_PM_H

#include "base/wire.h"
#include "dev/pci/pci.h"

struct piix4_pm;

/* What the ACPI tables must say about this chip. */
/* where firmware (SeaBIOS, or the board for a kernel without one) puts the PM block */
#define PIIX4_PM_BASE 0x600
#define PIIX4_PM_EVENT 0x00        /* PM1a_EVT_BLK, 4 bytes */
#define PIIX4_PM_CONTROL 0x04      /* PM1a_CNT_BLK, 2 bytes */
#define PIIX4_PM_TIMER 0x08        /* PM_TMR_BLK, 4 bytes, 24 bits count */
#define PIIX4_PM_GPE0 0xafe0       /* GPE0_BLK, 4 bytes: 2 status, 2 enable; fixed */
#define PIIX4_PM_SMI_CMD 0xb2
#define PIIX4_PM_ACPI_ENABLE 0xf1
#define PIIX4_PM_ACPI_DISABLE 0xf0
#define PIIX4_PM_SCI_IRQ 9
#define PIIX4_PM_SLP_TYP_S5 0      /* \_S5 package: (0, 0) */
#define PIIX4_PM_SLP_TYP_S3 1

struct piix4_pm_config {
	struct loop *loop;
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	struct wire sci;      /* to ISA line 9, level */
	struct wire poweroff; /* pulsed when the guest enters S5 */
	struct wire suspend;  /* likewise S3 */
	struct wire wake;     /* level: an event that wakes from S3 is there and enabled */
};

/* At 00:01.3. Lock held for all of these. */
struct piix4_pm *piix4_pm_new(const struct piix4_pm_config *cfg);
void piix4_pm_free(struct piix4_pm *pm);
void piix4_pm_reset(struct piix4_pm *pm);
/* Put the PM block at PIIX4_PM_BASE and enable it, as firmware would: for a kernel started without firmware. */
void piix4_pm_map(struct piix4_pm *pm);
/* The user presses the power button: sets PWRBTN_STS and so asks an ACPI guest to shut down. */
void piix4_pm_power_button(struct piix4_pm *pm);
/* The RTC's interrupt line: its rise sets RTC_STS. Fits a wire. */
void piix4_pm_set_rtc(void *pm, int n, bool level);
/* Would it wake at once from S3? */
bool piix4_pm_wakes(const struct piix4_pm *pm);
/* The machine woke up from S3, over which this chip had power: sets RSM_STS, ACPI's WAK_STS. */
void piix4_pm_woken(struct piix4_pm *pm);

#endif
