//! The inner tiles of bf16: 32 by 32 sums, by AMX or by AVX512-BF16.
//!
//! AMX is reached by assembly, for its intrinsics are not in stable Rust. Linux gives its registers to a process that asks
//! for them. A thread sets their sizes when it begins a product and gives them back behind it, so that they are not saved
//! whenever another thread takes the processor.

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid_count, __m512, __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_dpbf16_ps,
    _mm512_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::marker::PhantomData;
use std::mem::{offset_of, transmute};

use super::half::PANEL;
use super::half_kernel::{Multiply, Run, Start};
use super::panels::Line;

/// Whether there is AVX512-BF16, and what packing takes.
pub(super) fn has_dots() -> bool {
    !cfg!(miri)
        && super::wide::avx512()
        && std::is_x86_feature_detected!("avx512bf16")
        && std::is_x86_feature_detected!("avx512bw")
}

/// Whether there is AMX with bf16, and this process may use it.
pub(super) fn has_tiles() -> bool {
    const TILES: u32 = 1 << 24 | 1 << 22;
    // Leaf 7 is there if the processor has AVX2.
    has_dots() && __cpuid_count(7, 0).edx & TILES == TILES && permission()
}

/// Asks the system for the registers of AMX.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call reads and writes no memory. It changes the rcx and r11 registers.
    unsafe {
        asm!(
            "syscall", inout("rax") result, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA, out("rcx") _, out("r11") _,
            options(nostack)
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permission() -> bool {
    false
}

/// The shapes of the registers, as LDTILECFG reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers have 16 rows of a line.
static WHOLE: Shapes = {
    let mut shapes = Shapes { palette: 1, start_row: 0, reserved: [0; 14], bytes: [0; 16], rows: [0; 16] };
    let mut at = 0;
    while at < 8 {
        (shapes.bytes[at], shapes.rows[at]) = (64, 16);
        at += 1;
    }
    shapes
};

/// AMX, set up for this thread until it is dropped. It stays on its thread.
pub(super) struct Tiles(PhantomData<*const ()>);

impl Drop for Tiles {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: it was set up, so it is there.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

impl Multiply for Tiles {
    /// 1.5 of the 2 MB that processors with AMX have; with a megabyte, matrices of 384 by 1,536 took a sixth longer a step.
    const NEAR: usize = 3 << 13;

    #[allow(unsafe_code)]
    fn begin() -> Self {
        assert!(super::half_kernel::unit() == Some(super::half_kernel::Unit::Tiles), "AMX was asked for");
        // SAFETY: the processor has AMX and the process may use it; the shapes are valid.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly, preserves_flags)) };
        Self(PhantomData)
    }

    #[allow(unsafe_code)]
    unsafe fn tile(&self, run: Run, c: *mut f32, stride: usize, from: Start) {
        // SAFETY: the caller's.
        unsafe { add_up(&[run], c, stride, from) };
    }

    /// The sums stay in the registers.
    #[allow(unsafe_code)]
    unsafe fn tiles(&self, runs: &[Run], c: *mut f32, stride: usize) {
        // SAFETY: the caller's.
        unsafe { add_up(runs, c, stride, Start::NOTHING) };
    }
}

/// The sums of all pairs of panels, at least one, and what they begin with.
///
/// # Safety
///
/// AMX is set up; panels, squares and what the sums begin with are as [`Multiply::tiles`] wants them.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn add_up(runs: &[Run], c: *mut f32, stride: usize, from: Start) {
    assert!(!runs.is_empty(), "a pair of panels");
    // SAFETY: the caller keeps what is read and written inside its allocations. Registers 0 to 3 hold the sums, 4 and 5 the
    // rows of a left side, 6 and 7 the columns of a right one.
    unsafe {
        asm!(
            "test {from}, {from}",
            "jz 2f",
            "tileloadd tmm0, [{from} + {apart}*1]",
            "tileloadd tmm1, [{from} + {apart}*1 + 64]",
            "tileloadd tmm2, [{next} + {apart}*1]",
            "tileloadd tmm3, [{next} + {apart}*1 + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "mov {a}, [{runs} + {left}]",
            "mov {b}, [{runs} + {right}]",
            "mov {steps}, [{runs} + {length}]",
            "add {runs}, {run}",
            "test {steps}, {steps}",
            "jz 5f",
            "4:",
            "tileloadd tmm4, [{a} + {line}*1]",
            "tileloadd tmm6, [{b} + {line}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b} + {line}*1 + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{a} + {line}*1 + 1024]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {steps}",
            "jnz 4b",
            "5:",
            "dec {count}",
            "jnz 3b",
            "tilestored [{c} + {stride}*1], tmm0",
            "tilestored [{c} + {stride}*1 + 64], tmm1",
            "tilestored [{below} + {stride}*1], tmm2",
            "tilestored [{below} + {stride}*1 + 64], tmm3",
            a = out(reg) _,
            b = out(reg) _,
            steps = out(reg) _,
            runs = inout(reg) runs.as_ptr() => _,
            count = inout(reg) runs.len() => _,
            c = in(reg) c,
            below = in(reg) c.add(PANEL / 2 * stride),
            stride = in(reg) stride * size_of::<f32>(),
            line = in(reg) size_of::<Line>(),
            from = in(reg) from.data,
            next = in(reg) from.data.wrapping_add(PANEL / 2 * from.stride),
            apart = in(reg) from.stride * size_of::<f32>(),
            run = const size_of::<Run>(),
            left = const offset_of!(Run, left),
            right = const offset_of!(Run, right),
            length = const offset_of!(Run, steps),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// AVX512-BF16.
pub(super) struct Dots;

impl Multiply for Dots {
    /// A quarter of the megabyte that Zen 5 has: the left side and what is written take their part.
    const NEAR: usize = 1 << 12;

    fn begin() -> Self {
        Self
    }

    #[allow(unsafe_code)]
    unsafe fn tile(&self, run: Run, c: *mut f32, stride: usize, from: Start) {
        let each = run.lines * ROWS / PANEL;
        for (part, first) in (0..PANEL).step_by(ROWS).enumerate() {
            // SAFETY: the caller's; the rows are those of the panel.
            unsafe {
                let from = Start {
                    data: from.data.wrapping_add(if from.data.is_null() { 0 } else { first * from.stride }),
                    ..from
                };
                let ahead = run.ahead.wrapping_add(part * each);
                dots(Run { left: run.left.add(first), ahead, lines: each, ..run }, c.add(first * stride), stride, from);
            }
        }
    }
}

/// Rows whose sums stand in registers, two for each. (Twelve, twelve and eight were slower on Zen 5.)
const ROWS: usize = 8;

/// The sums of some rows of a panel of `a`, which lie in one of its tiles, and a panel of `b`.
///
/// # Safety
///
/// As [`Multiply::tile`].
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn dots(run: Run, c: *mut f32, stride: usize, from: Start) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    let each = run.lines.div_ceil(run.steps);
    // SAFETY: the caller's. A vector of bf16 is as long as one of f32 or of words.
    unsafe {
        for step in 0..run.steps {
            let (a, b) = (run.left.add(step * PANEL), run.right.add(step * PANEL));
            for at in step * each..(step + 1) * each {
                _mm_prefetch::<_MM_HINT_T0>(run.ahead.wrapping_add(at).cast());
            }
            for pair in 0..PANEL / 2 {
                let columns = [0, PANEL / 2].map(|half| _mm512_loadu_ps(b.add(half + pair).cast()));
                let [left, right] =
                    [transmute::<__m512, __m512bh>(columns[0]), transmute::<__m512, __m512bh>(columns[1])];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let word = *a.add(row).cast::<i32>().add(pair);
                    let word = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(word));
                    sums[0] = _mm512_dpbf16_ps(sums[0], word, left);
                    sums[1] = _mm512_dpbf16_ps(sums[1], word, right);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (half, sum) in sums.into_iter().enumerate() {
                let before = from.data.wrapping_add(row * from.stride + half * PANEL / 2);
                let sum = if from.data.is_null() { sum } else { _mm512_add_ps(_mm512_loadu_ps(before), sum) };
                _mm512_storeu_ps(c.add(row * stride + half * PANEL / 2), sum);
            }
        }
    }
}
