/* SPDX-License-Identifier: PSF-2.0 */

/* How to write arch/switch_<cpu>_<abi>.S.  This file is text, not built.
 *
 * The rule: assembly knows registers, C knows everything else.  errno, C++
 * exceptions, sanitizers, checks and the choice of the next stack are in
 * cstack_switch.c; a .S file holds two functions and a landing place.
 *
 * void slp_arch_jump(void **save_sp, void *load_sp)
 *
 *   1. Push all registers that the ABI calls callee-saved (integer, and
 *      floating point or vector where it has such), the return address if it
 *      is in a register, and the control word(s) of the floating-point unit
 *      (rounding, exception masks, flush to zero; not the status flags).
 *      Not: argument and scratch registers, as the C compiler takes them for
 *      lost at a call; the thread pointer and platform registers (fs, x18,
 *      tp), as the thread does not change.
 *   2. Store the stack pointer in *save_sp.  Nothing may be written to the old
 *      stack afterwards: another thread cannot yet resume it, but the slicer
 *      may copy it from that address up.
 *   3. Set the stack pointer to load_sp.
 *   4. Pop in reverse order and return.
 *
 *   Push order, frame size and alignment are private to the file, but the same
 *   for every suspended stack: then the unwind information (.cfi_*) written
 *   for step 1 is true on either side of step 3, and a signal that arrives in
 *   the middle (a sampling profiler) can be unwound.
 *   Loading control words is slow on most machines: compare first.
 *
 * void *slp_arch_init(void *top, void (*entry)(void *), void *arg)
 *
 *   Writes below `top` the frame that slp_arch_jump pops, and returns its
 *   address.  Two callee-saved registers hold entry and arg, the frame pointer
 *   is 0, the control words are those of now, and the return address is
 *   slp_arch_start.  Leave two zero words above the frame.  After the pop, the
 *   stack pointer must have the alignment that the ABI wants before a call.
 *
 * slp_arch_start
 *
 *   Moves arg into the argument register, clears the frame pointer and link
 *   register, calls entry.  Marked `.cfi_undefined <return address register>`:
 *   gdb, backtrace() and the C++ runtime take it for the outermost frame and
 *   stop.  (An unwinder looks up the address before the return address: use a
 *   call, not a jump.)  After the call stands an instruction that traps.
 *
 * Every file: SPDX line, the picture of its frame, `#include
 * "../cstack_arch.h"`, the body under one #if, symbols .hidden with .type and
 * .size, `.note.GNU-stack` outside of the #if (without it the linker makes all
 * stacks of the process executable), and no .note.gnu.property (no claim of
 * shadow-stack or branch-target support: a switch breaks the first).
 *
 * Position independent, no relocations in .text: take the address of
 * slp_arch_start relative to the program counter.
 *
 * Then run tests/c/run.py, cross-compiled under qemu-user if need be.
 */
