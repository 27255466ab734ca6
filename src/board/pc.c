// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PC's data sheet: memory map, list of chips, wiring
 *
 *   0000_0000  RAM, up to 3.5 GiB        PIT PS/2 RTC UARTs FDC IDE ---+   +--> 8259 pair ---> LINT0 of the local APIC,
 *   000a_0000  VGA window                                              v   |                   or INTR of a CPU without
 *   000c_0000  RAM or ROM (82441FX PAM)                         PIIX3 ISA lines 0-15
 *   (end)      PCI memory up to febf_ffff                              ^   |
 *   fec0_0000  IO-APIC                   PCI INTA-D --> PIRQA-D -------+   +--> IO-APIC 0-15 (line 0 at input 2)
 *   fed0_0000  HPET                      HPET ---------------------------------> IO-APIC 16-23, or lines 0 and 8
 *   fee0_0000  local APIC of each CPU
 *   4G - size  firmware                  local APIC ---> INTR, NMI, INIT, start-up of its vCPU
 *   1_0000_0000  the rest of RAM
 *
 * Every chip is made here or, for disks, in storage.c, for network cards in network.c; the order of construction is the
 * order of the state blocks.
 * The vCPU comes first, because chips are wired to it; it starts in life.c.
 */
#include "board/pc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "board/pc_int.h"
#include "xlate/xlate.h"

/* Wires */

static void reset_line(void *opaque, int n, bool level)
{
	if (level)
		pc_ask_reset(opaque, false);
}

/* RESET# of the CPU alone: keyboard controller, fast reset, soft reset of the chipset. */
static void cpu_reset_line(void *opaque, int n, bool level)
{
	if (level)
		pc_ask_cpu_reset(opaque, false);
}

/* The keyboard controller's gate (n = 0) and the fast gate (n = 1) are ORed. */
static void a20_line(void *opaque, int n, bool level)
{
	struct pc *pc = opaque;

	*(n ? &pc->a20_fast : &pc->a20_kbd) = level;
	if (mem_a20(pc->mem) != (pc->a20_kbd || pc->a20_fast))
		mem_set_a20(pc->mem, pc->a20_kbd || pc->a20_fast);
}

static void on_debug_exit(void *opaque, uint32_t code)
{
	struct pc *pc = opaque;

	pc->exit_code = code;
	pc_end_with(pc, PC_DEBUG_EXIT);
}

/* Firmware's debug port: whole lines to the log. */
static void on_debug_byte(void *opaque, uint8_t byte)
{
	struct pc *pc = opaque;

	if (byte >= ' ' && pc->debug_len < sizeof(pc->debug_line) - 1)
		pc->debug_line[pc->debug_len++] = (char)byte;
	if (byte >= ' ' && pc->debug_len < sizeof(pc->debug_line) - 1)
		return;
	pc->debug_line[pc->debug_len] = 0;
	if (pc->debug_len)
		log_at(LOG_DEBUG, "firmware: %s", pc->debug_line);
	pc->debug_len = 0;
}

static void on_user_debug_byte(void *opaque, uint8_t byte)
{
	struct pc *pc = opaque;

	ui_stream_write(pc->debugcon_stream, &byte, 1);
}

static void on_forget(void *opaque, gpa_t page)
{
	struct pc *pc = opaque;

	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_forget_page(pc->cpu[k].vcpu, page);
}

static void on_key(void *opaque, const uint8_t *codes, unsigned n)
{
	struct pc *pc = opaque;

	i8042_key(pc->i8042, codes, n);
	pc_ask_wake(pc);
}

static void on_quit(void *opaque)
{
	pc_end_with(opaque, PC_QUIT);
}

static void on_power(void *opaque)
{
	struct pc *pc = opaque;

	piix4_pm_power_button(pc->pm);
}

static void cpu_ferr(void *opaque, bool level)
{
	struct pc *pc = ((struct pc_cpu *)opaque)->pc;

	loop_lock(pc->loop);
	wire_set(&pc->isa_irq13, level);
	loop_unlock(pc->loop);
}

static void cpu_triple_fault(void *opaque)
{
	struct pc_cpu *c = opaque;

	c->pc->faulted = c->n;
	pc_ask_cpu_reset(c->pc, true);
}

static void cpu_halted(void *opaque)
{
	struct pc_cpu *c = opaque;

	pc_report_halted(c->pc);
}

static unsigned current_cpu(void *opaque)
{
	return vcpu_current();
}

/* Chips */

const struct engine_ops *pc_engine(void)
{
	return &xlate_engine;
}

static int make_vcpu(struct pc *pc, unsigned n, struct err *err)
{
	struct pc_cpu *c = &pc->cpu[n];
	bool apic = pc->model->apic;
	const struct cpu_hooks hooks = {
		.opaque = c,
		.get_tpr = apic ? pc_get_tpr : NULL,
		.set_tpr = apic ? pc_set_tpr : NULL,
		.apic_rdmsr = apic ? pc_apic_rdmsr : NULL,
		.apic_wrmsr = apic ? pc_apic_wrmsr : NULL,
		.ferr = cpu_ferr,
	};
	const struct pc_pin *pin = &pc->cfg.pin;

	*c = (struct pc_cpu){ .pc = pc, .n = n };
	c->vcpu = vcpu_new(&(struct vcpu_config){
		.engine = pc_engine(), .mem = pc->mem, .loop = pc->loop, .model = pc->model, .hooks = &hooks,
		.states = pc->states,
		.first = n ? pc->cpu[0].vcpu : NULL, .number = n, .count = pc->ncpus, .tsc_zero = pc->tsc_zero,
		.opaque = c, .ack = pc_ack, .triple_fault = cpu_triple_fault, .halted = cpu_halted,
		.stats = pc->cfg.stats, .perf_map = pc->cfg.perf_map, .mode = pc->cfg.mode,
		.pin = pin->n ? pin->core[n % pin->n] + 1u : 0,
	}, err);
	return c->vcpu ? 0 : -EIO;
}

static int make_vcpus(struct pc *pc, struct err *err)
{
	long host = sysconf(_SC_NPROCESSORS_ONLN);

	pc->ncpus = cpuid_count(&pc->model->topology);
	if (pc->ncpus > 1 && !pc->model->apic)
		return err_set(err, -EINVAL, "--cpus: CPU model %s has no local APIC, so there can be only one",
		               pc->model->name);
	if (host > 0 && pc->ncpus > 1 && pc->ncpus > (unsigned long)host)
		log_at(LOG_WARN, "%u CPUs for the guest are more than this host has (%ld): they take turns", pc->ncpus, host);
	for (unsigned k = 0; k < pc->ncpus; k++)
		if (make_vcpu(pc, k, err))
			return -EIO;
	return 0;
}

static struct lapic *make_lapic(struct pc *pc, struct pc_cpu *c)
{
	return lapic_new(&(struct lapic_config){
		.loop = pc->loop,
		.set = pc->states,
		.bus = pc->lapic_bus,
		.id = cpuid_apic_id(&pc->model->topology, c->n),
		.bsp = !c->n,
		.x2apic = pc->model->x2apic,
		.phys_bits = pc->model->phys_bits,
		.virtual_wire = pc->kernel != NULL && !c->n,
		.intr = { pc_intr_line, c, 0 },
		.nmi = { pc_nmi_line, c, 0 },
		.init = { pc_init_line, c, 0 },
		.sipi = { pc_sipi_line, c, 0 },
		.extint_ack = c->n ? NULL : pc_extint_ack,
		.extint_opaque = c,
		.tsc_to_ns = pc->model->tsc_deadline ? pc_tsc_to_ns : NULL,
		.tsc_opaque = c,
	});
}

/* A CPU without an APIC has the INTR pin instead, and the messages of the IO-APIC reach nobody. */
static void make_interrupt_chips(struct pc *pc)
{
	struct wire intr = { pc_intr_line, &pc->cpu[0], 0 };

	pc->lapic_bus = lapic_bus_new(pc->mem);
	lapic_bus_set_current(pc->lapic_bus, current_cpu, pc);
	for (unsigned k = 0; k < pc->ncpus && pc->model->apic; k++)
		pc->cpu[k].lapic = make_lapic(pc, &pc->cpu[k]);
	if (pc->model->apic)
		intr = (struct wire){ lapic_set_lint, pc->cpu[0].lapic, 0 };
	pc->ioapic = ioapic_new(&(struct ioapic_config){ .set = pc->states, .mem = pc->mem, .bus = pc->lapic_bus });
	pc->pic = pic_new(&(struct pic_config){ .states = pc->states, .mem = pc->mem, .intr = intr });
}

static void make_chipset(struct pc *pc)
{
	struct piix3_config piix = { .states = pc->states, .mem = pc->mem, .ignne = { pc_ignne_line, pc, 0 } };
	/* PIIX3 sets the INTx wires when it joins the bus */
	const struct wire none[4] = { { NULL, NULL, 0 } };

	pc->pci = pci_bus_new(pc->mem, none);
	pci_bus_set_msi_sink(pc->pci, lapic_bus_msi, pc->lapic_bus);
	pc->i440fx = i440fx_new(&(struct i440fx_config){
		.mem = pc->mem, .bus = pc->pci, .states = pc->states, .reset = { reset_line, pc, 0 },
		.init = { cpu_reset_line, pc, 0 },
	});
	piix.bus = pc->pci;
	for (int i = 0; i < 16; i++)
		piix.irq[i] = (struct wire){ pc_isa_line, pc, i };
	pc->piix3 = piix3_new(&piix);
	pc->pm = piix4_pm_new(&(struct piix4_pm_config){
		.loop = pc->loop, .mem = pc->mem, .bus = pc->pci, .states = pc->states,
		.sci = piix3_irq_input(pc->piix3, PIIX4_PM_SCI_IRQ), .poweroff = { pc_poweroff_line, pc, 0 },
		.suspend = { pc_suspend_line, pc, 0 }, .wake = { pc_wake_line, pc, 0 },
	});
}

static void make_timers(struct pc *pc)
{
	struct hpet_config hpet = { .loop = pc->loop, .set = pc->states, .mem = pc->mem, .route_cap = 0x00ff0000 };

	pc->isa_irq0 = piix3_irq_input(pc->piix3, 0);
	pc->isa_irq8 = piix3_irq_input(pc->piix3, 8);
	pc->pit = pit_new(&(struct pit_config){ .states = pc->states, .loop = pc->loop, .mem = pc->mem,
		.irq0 = { pc_timer_line, pc, 0 } });
	pc->rtc = rtc_new(&(struct rtc_config){ .states = pc->states, .loop = pc->loop, .mem = pc->mem,
		.irq8 = { pc_timer_line, pc, 8 } });
	for (int i = 16; i < 24; i++)
		hpet.irq[i] = (struct wire){ pc_ioapic_line, pc, i };
	hpet.legacy[0] = piix3_irq_input(pc->piix3, 0);
	hpet.legacy[1] = piix3_irq_input(pc->piix3, 8);
	hpet.legacy_on = (struct wire){ pc_hpet_legacy_line, pc, 0 };
	pc->hpet = hpet_new(&hpet);
}

static void make_serials(struct pc *pc)
{
	static const struct { const char *name; uint16_t base; uint8_t irq; } com[PC_SERIALS_MAX] = {
		{ "uart0", 0x3f8, 4 }, { "uart1", 0x2f8, 3 }, { "uart2", 0x3e8, 4 }, { "uart3", 0x2e8, 3 },
	};

	/* The DSDT promises the first two. */
	for (unsigned i = 0; i < MAX(pc->cfg.nserials, 2); i++)
		pc->uart[i] = uart_new(&(struct uart_config){
			.states = pc->states, .name = com[i].name, .loop = pc->loop, .mem = pc->mem, .base = com[i].base,
			.irq = piix3_irq_input(pc->piix3, com[i].irq), .stream = pc->stream[i],
		});
}

static void make_isa_chips(struct pc *pc)
{
	pc->dma = dma_new(&(struct dma_config){ .states = pc->states, .mem = pc->mem });
	pc->i8042 = i8042_new(&(struct i8042_config){
		.states = pc->states, .loop = pc->loop, .mem = pc->mem, .irq1 = piix3_irq_input(pc->piix3, 1),
		.irq12 = piix3_irq_input(pc->piix3, 12), .a20 = { a20_line, pc, 0 }, .reset = { cpu_reset_line, pc, 0 },
	});
	pc->port92 = port92_new(&(struct port92_config){
		.states = pc->states, .mem = pc->mem, .a20 = { a20_line, pc, 1 }, .reset = { cpu_reset_line, pc, 0 },
	});
	pc->fwcfg = fwcfg_new(&(struct fwcfg_config){ .loop = pc->loop, .mem = pc->mem, .states = pc->states });
	pc->debugcon = debugcon_new(&(struct debugcon_config){ .mem = pc->mem, .port = 0x402, .byte = on_debug_byte,
		.opaque = pc });
	pc->isa_irq13 = piix3_ferr_input(pc->piix3);
}

static int make_screen(struct pc *pc, struct err *err)
{
	struct ui_text_source source = { .snapshot = vga_text_snapshot };

	pc->vga = vga_new(&(struct vga_config){
		.loop = pc->loop, .set = pc->states, .mem = pc->mem, .pci = pc->pci, .devfn = PC_DEVFN(PC_SLOT_VGA),
		.rom = pc->vga_bios.data, .rom_size = (uint32_t)pc->vga_bios.len,
	}, err);
	if (!pc->vga)
		return -ENOMEM;
	if (!pc->cfg.display_text)
		return 0;
	source.opaque = pc->vga;
	pc->text = ui_text_open(pc->loop, &source, on_key, pc, &(struct ui_user){ on_quit, on_power, pc }, err);
	return pc->text ? 0 : -EIO;
}

static void make_rng(struct pc *pc)
{
	pc->rng = virtio_rng_new(&(struct virtio_place){ pc->loop, pc->mem, pc->pci, pc->states, "virtio-rng",
		PC_DEVFN(pc->next_slot++) });
}

/* What only tests ask for. */
static int make_test_chips(struct pc *pc, struct err *err)
{
	struct testdev_config test = { .mem = pc->mem, .states = pc->states, .forget = on_forget, .opaque = pc };
	char where[4096];

	for (int n = 0; n < TESTDEV_LINES; n++)
		test.line[n] = (struct wire){ n < 16 ? pc_isa_line : pc_ioapic_line, pc, n };
	if (pc->cfg.test_device)
		pc->testdev = testdev_new(&test);
	if (pc->cfg.debug_exit)
		pc->debugexit = debugexit_new(&(struct debugexit_config){
			.mem = pc->mem, .port = pc->cfg.debug_exit_port, .exit = on_debug_exit, .opaque = pc,
		});
	if (!pc->cfg.debugcon)
		return 0;
	snprintf(where, sizeof(where), "file:%s", pc->cfg.debugcon);
	pc->debugcon_stream = ui_stream_open(pc->loop, where, &(struct ui_user){ on_quit, on_power, pc }, err);
	if (!pc->debugcon_stream)
		return err_prefix(err, -EINVAL, "--debugcon");
	pc->user_debugcon = debugcon_new(&(struct debugcon_config){
		.mem = pc->mem, .port = pc->cfg.debugcon_port, .byte = on_user_debug_byte, .opaque = pc,
	});
	return 0;
}

/* After the disks, so that they sit where they sit without it. */
static int make_console(struct pc *pc, struct err *err)
{
	const char *where = pc->cfg.console;

	if (!where)
		return 0;
	if (pc->next_slot == PC_SLOTS)
		return err_set(err, -EINVAL, "--console: no PCI slot is left");
	pc->console_stream = ui_stream_open(pc->loop, where, &(struct ui_user){ on_quit, on_power, pc }, err);
	if (!pc->console_stream)
		return err_prefix(err, -EINVAL, "--console %s", where);
	pc->console = virtio_console_new(
		&(struct virtio_place){ pc->loop, pc->mem, pc->pci, pc->states, "virtio-console", PC_DEVFN(pc->next_slot++) },
		pc->console_stream);
	return 0;
}

static int open_streams(struct pc *pc, struct err *err)
{
	for (unsigned i = 0; i < pc->cfg.nserials; i++) {
		if (!strcmp(pc->cfg.serial[i], "none"))
			continue;
		pc->stream[i] = ui_stream_open(pc->loop, pc->cfg.serial[i], &(struct ui_user){ on_quit, on_power, pc }, err);
		if (!pc->stream[i])
			return err_prefix(err, -EINVAL, "--serial %s", pc->cfg.serial[i]);
	}
	return 0;
}

/* Lock held. The terminal changes hands last, so that errors are still seen on it. */
static int make_chips(struct pc *pc, struct err *err)
{
	make_interrupt_chips(pc);
	make_chipset(pc);
	make_timers(pc);
	make_isa_chips(pc);
	make_rng(pc);
	if (storage_attach(pc->storage, pc, err) || open_streams(pc, err) || make_console(pc, err) ||
	    network_attach(pc, err) || make_test_chips(pc, err))
		return -EINVAL;
	make_serials(pc);
	if (make_screen(pc, err))
		return -EINVAL;
	if (!pc->kernel)
		firmware_map(&pc->firmware, pc->mem);
	guestinfo_publish(pc);
	pc_reset_chips(pc);
	return 0;
}

/* The chips that have no power in S3. */
static void reset_sleepers(struct pc *pc)
{
	piix3_reset(pc->piix3);
	pic_reset(pc->pic);
	ioapic_reset(pc->ioapic);
	for (unsigned k = 0; k < pc->ncpus && pc->cpu[k].lapic; k++)
		lapic_reset(pc->cpu[k].lapic);
	pit_reset(pc->pit);
	hpet_reset(pc->hpet);
	dma_reset(pc->dma);
	i8042_reset(pc->i8042);
	port92_reset(pc->port92);
	fwcfg_reset(pc->fwcfg);
	for (unsigned i = 0; i < PC_SERIALS_MAX && pc->uart[i]; i++)
		uart_reset(pc->uart[i]);
	storage_reset(pc->storage);
	network_reset(pc->network);
	virtio_rng_reset(pc->rng);
	if (pc->console)
		virtio_console_reset(pc->console);
	if (pc->testdev)
		testdev_reset(pc->testdev);
	/* Firmware starts with A20 open: the reset vector needs it. */
	pc->a20_kbd = true;
	pc->a20_fast = false;
	mem_set_a20(pc->mem, true);
}

void pc_reset_chips(struct pc *pc)
{
	pci_bus_reset(pc->pci);
	i440fx_reset(pc->i440fx, false);
	piix4_pm_reset(pc->pm);
	rtc_reset(pc->rtc);
	vga_reset(pc->vga);
	reset_sleepers(pc);
}

/* By the shadow RAM that the host bridge keeps SeaBIOS knows that it has run. The power management waited for what
 * wakes, the clock is one of these. The VGA keeps its picture, which no firmware would set up again. */
void pc_wake_chips(struct pc *pc)
{
	pci_bus_reset(pc->pci);
	i440fx_reset(pc->i440fx, true);
	reset_sleepers(pc);
	piix4_pm_woken(pc->pm);
}

static int load_start(struct pc *pc, struct err *err)
{
	const struct pc_config *cfg = &pc->cfg;

	if (cfg->kernel) {
		pc->kernel = kernel_open(&(struct kernel_config){ cfg->kernel, cfg->initrd, cfg->append }, err);
		return pc->kernel ? 0 : -EINVAL;
	}
	if (!firmware_load_vga(&pc->vga_bios))
		log_at(LOG_WARN,
		       "no VGA BIOS found (package 'seabios'): the guest will have no text screen until it sets one up itself");
	return firmware_load(&pc->firmware, cfg->firmware, err);
}

/* All of RAM must have an address. */
static int check_width(const struct pc *pc, struct err *err)
{
	uint64_t top = mem_ram_above4g(pc->mem) ? GIB(4) + mem_ram_above4g(pc->mem) : mem_ram_below4g(pc->mem);

	if (top - 1 < 1ull << pc->model->phys_bits)
		return 0;
	return err_set(err, -EINVAL, "--memory: so much RAM needs more than the %u bits that physical addresses have on "
	               "CPU model %s%s", pc->model->phys_bits, pc->model->name,
	               pc->model->long_mode ? ": give --cpu MODEL,phys-bits=N" : "");
}

struct pc *pc_new(const struct pc_config *cfg, struct err *err)
{
	struct pc *pc = xalloc(sizeof(*pc));
	int ret;

	pc->cfg = *cfg;
	pc->next_slot = PC_SLOT_FIRST_FREE;
	pc->service.fd = -1;
	pc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pc->tsc_zero = __builtin_ia32_rdtsc();
	pc->model = cpuid_model_new(cfg->cpu, err);
	if (!pc->model || load_start(pc, err))
		goto fail;
	cpuid_set_topology(pc->model, &cfg->cpus);
	pc->loop = cfg->stepped ? loop_new_stepped() : loop_new(err);
	pc->states = state_set_new();
	state_set_add(pc->states, "machine", &pc_saved_type, &pc->saved, NULL, NULL);
	pc->mem = pc->loop ? mem_new(pc->loop, cfg->memory, PC_RAM_LOW_MAX, err) : NULL;
	if (!pc->mem || check_width(pc, err) || (pc->kernel && guestinfo_check_kernel(pc, err)))
		goto fail;
	pc->storage = storage_open(pc, err);
	if (!pc->storage || make_vcpus(pc, err))
		goto fail;
	loop_lock(pc->loop);
	ret = make_chips(pc, err);
	loop_unlock(pc->loop);
	if (ret || (pc->kernel && guestinfo_start_kernel(pc, err)))
		goto fail;
	return pc;
fail:
	pc_free(pc);
	return NULL;
}

static void free_chips(struct pc *pc)
{
	ui_text_free(pc->text);
	storage_free(pc->storage);
	network_free(pc->network);
	virtio_rng_free(pc->rng);
	virtio_console_free(pc->console);
	ui_stream_free(pc->console_stream);
	for (unsigned i = 0; i < PC_SERIALS_MAX; i++) {
		uart_free(pc->uart[i]);
		ui_stream_free(pc->stream[i]);
	}
	debugexit_free(pc->debugexit);
	debugcon_free(pc->debugcon);
	debugcon_free(pc->user_debugcon);
	ui_stream_free(pc->debugcon_stream);
	testdev_free(pc->testdev);
	fwcfg_free(pc->fwcfg);
	vga_free(pc->vga);
	port92_free(pc->port92);
	i8042_free(pc->i8042);
	dma_free(pc->dma);
	hpet_free(pc->hpet);
	rtc_free(pc->rtc);
	pit_free(pc->pit);
	piix4_pm_free(pc->pm);
	piix3_free(pc->piix3);
	i440fx_free(pc->i440fx);
	pci_bus_free(pc->pci);
	pic_free(pc->pic);
	ioapic_free(pc->ioapic);
	for (unsigned k = pc->ncpus; k--;)
		lapic_free(pc->cpu[k].lapic);
	lapic_bus_free(pc->lapic_bus);
}

void pc_free(struct pc *pc)
{
	if (!pc)
		return;
	if (pc->ncpus && pc->cpu[pc->ncpus - 1].vcpu)
		pc_stop_cpus(pc);
	if (pc->loop)
		loop_stop(pc->loop);
	storage_close(pc->storage);
	if (pc->mem) {
		loop_lock(pc->loop);
		mem_detach_all(pc->mem);
		free_chips(pc);
		loop_unlock(pc->loop);
	}
	for (unsigned k = pc->ncpus; k--;)
		vcpu_free(pc->cpu[k].vcpu);
	mem_free(pc->mem);
	state_set_free(pc->states);
	loop_free(pc->loop);
	firmware_free(&pc->firmware);
	firmware_free(&pc->vga_bios);
	kernel_free(pc->kernel);
	free(pc->model);
	close(pc->wake_fd);
	free(pc);
}
