//! Panels for the kernel: the parts of two matrices in the order in which its tiles read them.

use std::arch::x86_64::{
    __m256, _mm_loadu_ps, _mm_storeu_ps, _mm256_castps256_ps128, _mm256_loadu_ps, _mm256_permute2f128_ps,
    _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_store_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::kernel::Strided;

/// Numbers that [`pack_a`] writes at most behind the last panel.
pub(super) const BEHIND: usize = 8;

/// Copies (depth, columns) into panels of `COLUMNS` columns, a multiple of 8, the last filled up with zeros.
///
/// # Safety
///
/// The processor has AVX2. All of `b` that the sizes reach lies inside its allocation; there is room for whole panels,
/// aligned to a line.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn pack_b<const COLUMNS: usize>(b: Strided, depth: usize, columns: usize, panels: *mut f32) {
    let whole = columns / COLUMNS * COLUMNS;
    // SAFETY: reads stay below `depth` and `columns`, writes inside the panels.
    unsafe {
        if b.columns == 1 {
            // A few rows at a time: whole rows would write to places that share a set of the cache, whole panels would
            // read from them.
            for first in (0..depth).step_by(4) {
                for column in (0..whole).step_by(COLUMNS) {
                    for row in first..(first + 4).min(depth) {
                        let from = b.at(row, column).data;
                        let to = panels.add(column * depth + row * COLUMNS);
                        for at in (0..COLUMNS).step_by(8) {
                            _mm256_store_ps(to.add(at), _mm256_loadu_ps(from.add(at)));
                        }
                    }
                }
            }
        } else if b.rows == 1 {
            let even = depth / 8 * 8;
            for column in (0..whole).step_by(8) {
                let to = panels.add(column / COLUMNS * COLUMNS * depth + column % COLUMNS);
                for row in (0..even).step_by(8) {
                    let mut numbers = [_mm256_setzero_ps(); 8];
                    for (at, numbers) in numbers.iter_mut().enumerate() {
                        *numbers = _mm256_loadu_ps(b.at(row, column + at).data);
                    }
                    for (at, numbers) in transposed(numbers).into_iter().enumerate() {
                        _mm256_store_ps(to.add((row + at) * COLUMNS), numbers);
                    }
                }
                for row in even..depth {
                    (0..8).for_each(|at| *to.add(row * COLUMNS + at) = *b.at(row, column + at).data);
                }
            }
        } else {
            for column in 0..whole {
                let to = panels.add(column / COLUMNS * COLUMNS * depth + column % COLUMNS);
                (0..depth).for_each(|row| *to.add(row * COLUMNS) = *b.at(row, column).data);
            }
        }
        if whole < columns {
            for row in 0..depth {
                let to = panels.add(whole * depth + row * COLUMNS);
                for at in 0..COLUMNS {
                    *to.add(at) = if whole + at < columns { *b.at(row, whole + at).data } else { 0.0 };
                }
            }
        }
    }
}

/// Copies (rows, depth) into panels of `ROWS` rows; what lies behind the last row is not read.
///
/// # Safety
///
/// As [`pack_b`]; there is room for whole panels and [`BEHIND`] numbers more.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn pack_a<const ROWS: usize>(a: Strided, rows: usize, depth: usize, panels: *mut f32) {
    for row in (0..rows).step_by(ROWS) {
        let count = ROWS.min(rows - row);
        // SAFETY: reads stay below `rows` (vectors across rows are read only where as many are left) and `depth`,
        // writes inside the panels: a vector reaches at most into what the next product overwrites.
        unsafe {
            let to = panels.add(row * depth);
            let mut product = 0;
            if a.columns == 1 {
                while product + 8 <= depth {
                    for first in (0..ROWS).step_by(8) {
                        let mut numbers = [_mm256_setzero_ps(); 8];
                        for (at, numbers) in numbers.iter_mut().enumerate().take(count.saturating_sub(first)) {
                            *numbers = _mm256_loadu_ps(a.at(row + first + at, product).data);
                        }
                        for (at, numbers) in transposed(numbers).into_iter().enumerate() {
                            let to = to.add((product + at) * ROWS + first);
                            if ROWS - first == 4 {
                                _mm_storeu_ps(to, _mm256_castps256_ps128(numbers));
                            } else {
                                _mm256_storeu_ps(to, numbers);
                            }
                        }
                    }
                    product += 8;
                }
            } else if a.rows == 1 && rows - row >= ROWS.next_multiple_of(4) {
                while product < depth {
                    for first in (0..ROWS).step_by(8) {
                        let (from, to) = (a.at(row + first, product).data, to.add(product * ROWS + first));
                        if ROWS - first == 4 {
                            _mm_storeu_ps(to, _mm_loadu_ps(from));
                        } else {
                            _mm256_storeu_ps(to, _mm256_loadu_ps(from));
                        }
                    }
                    product += 1;
                }
            }
            while product < depth {
                (0..count).for_each(|at| *to.add(product * ROWS + at) = *a.at(row + at, product).data);
                product += 1;
            }
        }
    }
}

/// 8 rows of 8 numbers as columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transposed(rows: [__m256; 8]) -> [__m256; 8] {
    let mut pairs = rows;
    let mut quads = rows;
    let mut columns = rows;
    for at in (0..8).step_by(2) {
        pairs[at] = _mm256_unpacklo_ps(rows[at], rows[at + 1]);
        pairs[at + 1] = _mm256_unpackhi_ps(rows[at], rows[at + 1]);
    }
    for half in [0, 4] {
        for at in 0..2 {
            let (first, second) = (pairs[half + at], pairs[half + at + 2]);
            quads[half + 2 * at] = _mm256_shuffle_ps::<0x44>(first, second);
            quads[half + 2 * at + 1] = _mm256_shuffle_ps::<0xEE>(first, second);
        }
    }
    for at in 0..4 {
        columns[at] = _mm256_permute2f128_ps::<0x20>(quads[at], quads[at + 4]);
        columns[at + 4] = _mm256_permute2f128_ps::<0x31>(quads[at], quads[at + 4]);
    }
    columns
}
