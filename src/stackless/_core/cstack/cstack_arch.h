/* SPDX-License-Identifier: PSF-2.0 */

/* Which code switches stacks here, and what that code offers to the C files.
 *
 * Included by the .S files too: everything that is C hides behind
 * __ASSEMBLER__.  All .S files are compiled on every machine; each is empty
 * unless its macro is 1, so that build descriptions need no conditions.
 *
 * To add an architecture: a macro here, arch/switch_<cpu>_<abi>.S written
 * after arch/switch_template.S, and a line in slp_cstack_backend().
 */

#ifndef SLP_CSTACK_ARCH_H
#define SLP_CSTACK_ARCH_H

#define SLP_ARCH_UCONTEXT     0
#define SLP_ARCH_X86_64_SYSV  0
#define SLP_ARCH_AARCH64_SYSV 0

#if defined(SLP_CSTACK_UCONTEXT)
#    undef SLP_ARCH_UCONTEXT
#    define SLP_ARCH_UCONTEXT 1
#elif defined(__x86_64__) && defined(__LP64__) && defined(__ELF__)
#    undef SLP_ARCH_X86_64_SYSV
#    define SLP_ARCH_X86_64_SYSV 1
#elif defined(__aarch64__) && defined(__LP64__) && defined(__ELF__)
#    undef SLP_ARCH_AARCH64_SYSV
#    define SLP_ARCH_AARCH64_SYSV 1
#else
#    undef SLP_ARCH_UCONTEXT
#    define SLP_ARCH_UCONTEXT 1
#endif

#if !defined(__ASSEMBLER__) && !SLP_ARCH_UCONTEXT

/* Writes the first frame of a new stack below `top` (16-byte aligned) and
 * returns its stack pointer: the first jump to it calls entry(arg), with the
 * floating-point control of now. */
void *slp_arch_init(void *top, void (*entry)(void *), void *arg);

/* Saves registers on the running stack, stores its stack pointer in *save_sp,
 * and continues from `load_sp`.  Returns when somebody jumps back. */
void slp_arch_jump(void **save_sp, void *load_sp);

#endif

#endif /* SLP_CSTACK_ARCH_H */
