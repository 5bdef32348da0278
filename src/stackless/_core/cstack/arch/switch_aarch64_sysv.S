/* SPDX-License-Identifier: PSF-2.0 */

/* Stack switch for AArch64, AAPCS64 (Linux, BSDs; 64-bit pointers).
 * The contract is explained in switch_template.S.
 *
 * A suspended stack, from its stack pointer up (176 bytes):
 *
 *      0  x29 (frame pointer), x30 (return address)
 *     16  x19 ... x28
 *     96  d8 ... d15            the low halves of v8-v15
 *    160  FPCR
 *    168  unused, keeps sp 16-byte aligned
 *
 * x18 is the platform's and is left alone.  Writing FPCR is expensive, and it
 * hardly ever differs: it is compared first.  FPSR holds status flags, which
 * no call preserves.
 *
 * No BTI, PAC or GCS property: a linked object claims them only if all of its
 * parts do.  Callers that sign their return addresses (pac-ret) work: the
 * modifier is the stack pointer, which is the same again when they return.
 */

#include "../cstack_arch.h"

#if SLP_ARCH_AARCH64_SYSV

        .text

/* void slp_arch_jump(void **save_sp [x0], void *load_sp [x1]) */
        .globl  slp_arch_jump
        .hidden slp_arch_jump
        .type   slp_arch_jump, %function
        .p2align 4
slp_arch_jump:
        .cfi_startproc
        stp     x29, x30, [sp, #-176]!
        .cfi_def_cfa_offset 176
        .cfi_offset x29, -176
        .cfi_offset x30, -168
        stp     x19, x20, [sp, #16]
        .cfi_offset x19, -160
        .cfi_offset x20, -152
        stp     x21, x22, [sp, #32]
        .cfi_offset x21, -144
        .cfi_offset x22, -136
        stp     x23, x24, [sp, #48]
        .cfi_offset x23, -128
        .cfi_offset x24, -120
        stp     x25, x26, [sp, #64]
        .cfi_offset x25, -112
        .cfi_offset x26, -104
        stp     x27, x28, [sp, #80]
        .cfi_offset x27, -96
        .cfi_offset x28, -88
        stp     d8, d9, [sp, #96]
        .cfi_offset d8, -80
        .cfi_offset d9, -72
        stp     d10, d11, [sp, #112]
        .cfi_offset d10, -64
        .cfi_offset d11, -56
        stp     d12, d13, [sp, #128]
        .cfi_offset d12, -48
        .cfi_offset d13, -40
        stp     d14, d15, [sp, #144]
        .cfi_offset d14, -32
        .cfi_offset d15, -24
        mrs     x9, fpcr
        str     x9, [sp, #160]

        mov     x10, sp
        str     x10, [x0]
        /* Both stacks look the same from here up: the CFI stays true. */
        mov     sp, x1

        ldr     x10, [sp, #160]
        cmp     x9, x10
        b.eq    .Lfpcr_is_right
        msr     fpcr, x10
.Lfpcr_is_right:
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp], #176
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore d8
        .cfi_restore d9
        .cfi_restore d10
        .cfi_restore d11
        .cfi_restore d12
        .cfi_restore d13
        .cfi_restore d14
        .cfi_restore d15
        ret
        .cfi_endproc
        .size   slp_arch_jump, .-slp_arch_jump

/* Where the first jump to a new stack "returns" to: x19 is the entry, x20 its
 * argument.  The return address is declared undefined: for unwinders this is
 * the outermost frame.  x29 is 0 for those that follow frame pointers. */
        .type   slp_arch_start, %function
        .p2align 4
slp_arch_start:
        .cfi_startproc
        .cfi_undefined x30
        .cfi_undefined x29
        mov     x0, x20
        mov     x29, xzr
        mov     x30, xzr
        blr     x19
        brk     #1                      /* the entry has returned */
        .cfi_endproc
        .size   slp_arch_start, .-slp_arch_start

/* void *slp_arch_init(void *top [x0], entry [x1], void *arg [x2]) */
        .globl  slp_arch_init
        .hidden slp_arch_init
        .type   slp_arch_init, %function
        .p2align 4
slp_arch_init:
        .cfi_startproc
        stp     xzr, xzr, [x0, #-16]!
        sub     x0, x0, #176
        adrp    x9, slp_arch_start
        add     x9, x9, :lo12:slp_arch_start
        stp     xzr, x9, [x0]
        stp     x1, x2, [x0, #16]       /* x19: the entry, x20: the argument */
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     xzr, xzr, [x0, #64]
        stp     xzr, xzr, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        stp     xzr, xzr, [x0, #144]
        mrs     x9, fpcr
        stp     x9, xzr, [x0, #160]
        ret
        .cfi_endproc
        .size   slp_arch_init, .-slp_arch_init

#endif /* SLP_ARCH_AARCH64_SYSV */

#if defined(__linux__) && defined(__ELF__)
        .section .note.GNU-stack, "", %progbits
#endif
