// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the DSDT of ring3's PC: the PCI root, its interrupt links, and the ISA devices behind the PIIX
 *
 * Static but for two constants that board/acpi.c patches in the compiled table, found by name: PLOW, the
 * start of the PCI memory window (end of RAM below 4 GiB), and FSTA, whether there is a floppy drive.
 * Interrupt routing is that of the PIIX3: four PIRQ inputs steered to ISA interrupts by registers 60h-63h
 * of the ISA bridge, in PIC and in APIC mode alike (IO-APIC inputs 0-15 are the ISA interrupts).
 */
DefinitionBlock ("", "DSDT", 1, "RING3 ", "RING3PC ", 1)
{
    Name (PLOW, 0x80000000)
    Name (FSTA, 0x0000000F)

    /* PIIX4, Power Management: SUS_TYP 000b is soft off, 001b suspend to RAM. */
    Name (\_S3, Package () { 1, 1, 0, 0 })
    Name (\_S5, Package () { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)

            Name (RBUF, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)
                IO (Decode16, 0xCF8, 0xCF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0000, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0D00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0, 0x000A0000, 0x000BFFFF, 0, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x80000000, 0xFEBFFFFF, 0, 0x7EC00000)
            })
            Method (_CRS, 0, Serialized)
            {
                /* The window is the sixth descriptor, at byte 82; its minimum, maximum and length follow at 10, 14
                 * and 22. */
                CreateDWordField (RBUF, 92, WMIN)
                CreateDWordField (RBUF, 96, WMAX)
                CreateDWordField (RBUF, 104, WLEN)
                WMIN = PLOW
                WLEN = WMAX - WMIN + 1
                Return (RBUF)
            }

            /* Pin p (0 = INTA) of slot s drives PIRQ (s + p - 1) & 3, as the bus in dev/pci wires it. */
            Method (_PRT, 0, Serialized)
            {
                Local0 = Package (124) {}
                Local1 = 0
                While (Local1 < 124)
                {
                    /* Entry n is for slot n / 4 + 1, pin n % 4: PIRQ (n / 4 + n % 4) & 3. */
                    Switch (((Local1 >> 2) + Local1) & 3)
                    {
                        Case (0) { Local2 = Package () { 0, 0, LNKA, 0 } }
                        Case (1) { Local2 = Package () { 0, 0, LNKB, 0 } }
                        Case (2) { Local2 = Package () { 0, 0, LNKC, 0 } }
                        Default  { Local2 = Package () { 0, 0, LNKD, 0 } }
                    }
                    Local2 [0] = (((Local1 >> 2) + 1) << 16) | 0xFFFF
                    Local2 [1] = Local1 & 3
                    Local0 [Local1] = Local2
                    Local1++
                }
                Return (Local0)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                /* 82371SB (PIIX3), PIRQRC[A:D]: bit 7 disables, bits 3:0 name the interrupt. */
                OperationRegion (PIRQ, PCI_Config, 0x60, 4)
                Field (PIRQ, ByteAcc, NoLock, Preserve) { PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8 }

                Device (PIC)
                {
                    Name (_HID, EisaId ("PNP0000"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0020, 0x0020, 1, 2)
                        IO (Decode16, 0x00A0, 0x00A0, 1, 2)
                        IO (Decode16, 0x04D0, 0x04D0, 1, 2)
                        IRQNoFlags () { 2 }
                    })
                }
                Device (PIT)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0040, 0x0040, 1, 4)
                        IRQNoFlags () { 0 }
                    })
                }
                Device (DMAC)
                {
                    Name (_HID, EisaId ("PNP0200"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0000, 0x0000, 1, 0x10)
                        IO (Decode16, 0x0081, 0x0081, 1, 0x0F)
                        IO (Decode16, 0x00C0, 0x00C0, 1, 0x20)
                        DMA (Compatibility, NotBusMaster, Transfer8) { 4 }
                    })
                }
                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 1, 8)
                        IRQNoFlags () { 8 }
                    })
                }
                Device (SPKR)
                {
                    Name (_HID, EisaId ("PNP0800"))
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x0061, 0x0061, 1, 1) })
                }
                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 1, 1)
                        IO (Decode16, 0x0064, 0x0064, 1, 1)
                        IRQNoFlags () { 1 }
                    })
                }
                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }
                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                        IRQNoFlags () { 4 }
                    })
                }
                Device (COM2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 2)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x02F8, 0x02F8, 1, 8)
                        IRQNoFlags () { 3 }
                    })
                }
                Device (FDC)
                {
                    Name (_HID, EisaId ("PNP0700"))
                    Method (_STA) { Return (FSTA) }
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F2, 0x03F2, 1, 4)
                        IO (Decode16, 0x03F7, 0x03F7, 1, 1)
                        IRQNoFlags () { 6 }
                        DMA (Compatibility, NotBusMaster, Transfer8) { 2 }
                    })
                }
            }

            /* The power management function decodes its ports by registers of its own, so nobody may allocate them. */
            Device (PMIO)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0092, 0x0092, 1, 1)
                    IO (Decode16, 0x0510, 0x0510, 1, 12)
                    IO (Decode16, 0x0600, 0x0600, 1, 0x40)
                    IO (Decode16, 0x0700, 0x0700, 1, 0x10)
                })
            }
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadOnly, 0xFED00000, 0x400) })
        }

        /* What the four links share; Arg0 is the link's PIRQRC register. */
        Name (LPRS, ResourceTemplate () { Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 } })
        Name (LBUF, ResourceTemplate () { Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 0 } })
        Method (LSTA, 1)
        {
            If (Arg0 & 0x80) { Return (0x09) }
            Return (0x0B)
        }
        Method (LCRS, 1, Serialized)
        {
            CreateDWordField (LBUF, 5, NUM)
            NUM = Arg0 & 0x0F
            Return (LBUF)
        }
        Method (LNUM, 1, Serialized)
        {
            CreateDWordField (Arg0, 5, WANT)
            Return (WANT)
        }
        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Method (_PRS) { Return (LPRS) }
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQA)) }
            Method (_DIS) { ^^PCI0.ISA.PRQA |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQA)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQA = LNUM (Arg0) }
        }
        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Method (_PRS) { Return (LPRS) }
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQB)) }
            Method (_DIS) { ^^PCI0.ISA.PRQB |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQB)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQB = LNUM (Arg0) }
        }
        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Method (_PRS) { Return (LPRS) }
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQC)) }
            Method (_DIS) { ^^PCI0.ISA.PRQC |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQC)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQC = LNUM (Arg0) }
        }
        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Method (_PRS) { Return (LPRS) }
            Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQD)) }
            Method (_DIS) { ^^PCI0.ISA.PRQD |= 0x80 }
            Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQD)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQD = LNUM (Arg0) }
        }

        Processor (CPU0, 0, 0, 0) {}
    }
}
