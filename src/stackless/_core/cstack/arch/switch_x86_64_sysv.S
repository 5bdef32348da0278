/* SPDX-License-Identifier: PSF-2.0 */

/* Stack switch for x86-64, System V ABI (Linux, BSDs; not Windows, not x32).
 * The contract is explained in switch_template.S.
 *
 * A suspended stack, from its stack pointer up:
 *
 *      0  MXCSR                 SSE control and status
 *      4  x87 control word      (2 bytes, 2 unused)
 *      8  r15
 *     16  r14
 *     24  r13
 *     32  r12
 *     40  rbx
 *     48  rbp
 *     56  return address
 *
 * Loading MXCSR or the x87 control word costs more than all the rest, and they
 * hardly ever differ: they are compared first.  Of MXCSR, only bits 6-15 are
 * preserved across calls by the ABI; bits 0-5 are status flags, which change
 * with every inexact result.
 *
 * No .note.gnu.property: this object does not claim IBT or SHSTK, and a linked
 * object claims them only if all of its parts do.
 */

#include "../cstack_arch.h"

#if SLP_ARCH_X86_64_SYSV

        .text

/* void slp_arch_jump(void **save_sp [rdi], void *load_sp [rsi]) */
        .globl  slp_arch_jump
        .hidden slp_arch_jump
        .type   slp_arch_jump, @function
        .p2align 4
slp_arch_jump:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)

        movl    (%rsp), %eax
        movzwl  4(%rsp), %ecx
        movq    %rsp, (%rdi)
        /* Both stacks look the same from here up: the CFI stays true. */
        movq    %rsi, %rsp

        xorl    (%rsp), %eax
        testl   $0xffc0, %eax
        jnz     .Lload_mxcsr
.Lmxcsr_is_right:
        cmpw    4(%rsp), %cx
        jne     .Lload_x87
.Lx87_is_right:
        .cfi_remember_state
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        ret

        .cfi_restore_state
.Lload_mxcsr:
        ldmxcsr (%rsp)
        jmp     .Lmxcsr_is_right
.Lload_x87:
        fldcw   4(%rsp)
        jmp     .Lx87_is_right
        .cfi_endproc
        .size   slp_arch_jump, .-slp_arch_jump

/* Where the first jump to a new stack "returns" to: rbx is the entry, r12 its
 * argument.  The return address is declared undefined: for unwinders this is
 * the outermost frame.  rbp is 0 for those that follow frame pointers. */
        .type   slp_arch_start, @function
        .p2align 4
slp_arch_start:
        .cfi_startproc
        .cfi_undefined %rip
        .cfi_undefined %rbp
        movq    %r12, %rdi
        xorl    %ebp, %ebp
        call    *%rbx
        ud2                             /* the entry has returned */
        .cfi_endproc
        .size   slp_arch_start, .-slp_arch_start

/* void *slp_arch_init(void *top [rdi], entry [rsi], void *arg [rdx]) */
        .globl  slp_arch_init
        .hidden slp_arch_init
        .type   slp_arch_init, @function
        .p2align 4
slp_arch_init:
        .cfi_startproc
        leaq    -80(%rdi), %rax         /* 64, and two zero words on top */
        stmxcsr (%rax)
        movl    $0, 4(%rax)
        fnstcw  4(%rax)
        movq    $0, 8(%rax)
        movq    $0, 16(%rax)
        movq    $0, 24(%rax)
        movq    %rdx, 32(%rax)          /* r12: the argument */
        movq    %rsi, 40(%rax)          /* rbx: the entry */
        movq    $0, 48(%rax)
        leaq    slp_arch_start(%rip), %rcx
        movq    %rcx, 56(%rax)
        movq    $0, 64(%rax)
        movq    $0, 72(%rax)
        ret
        .cfi_endproc
        .size   slp_arch_init, .-slp_arch_init

#endif /* SLP_ARCH_X86_64_SYSV */

#if defined(__linux__) && defined(__ELF__)
        .section .note.GNU-stack, "", %progbits
#endif
