//! Looking up pre-tokens in the memo with AVX-512: a key is compared with both slots of its set at once.
//!
//! `unsafe` here is loads and stores of 16 and 64 bytes in arrays that are as long, and the instructions, whose presence the
//! caller proves. `known.rs` compares it with the plain way, under Miri too:
//! `RUSTFLAGS="-C target-feature=+avx512f,+avx512bw,+avx2,+bmi1,+bmi2,+lzcnt,+popcnt" PROPTEST_CASES=4 cargo +nightly miri test
//! --no-default-features --lib encode::known`.

use std::arch::x86_64::*;

use super::block::PRE_TOKENS;
use super::known::{Asked, Known, Run};
use super::memo::{FewIds, Key, Memo};

/// As [`plain`](super::known::plain).
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
pub(super) fn known(memo: &Memo, asked: &[Asked], run: &mut Run) -> Known {
    let mut known = Known::default();
    // The number of ids stands in the top byte of the last.
    let ids_alone = _mm_setr_epi32(-1, -1, -1, 0xFF_FFFF);
    for (at, (key, set)) in asked.iter().enumerate() {
        let Some(ids) = ids_of(memo.set(*set), *key) else {
            run.before[at % PRE_TOKENS] = known.ids as u16;
            known.missed |= 1 << at;
            continue;
        };
        let place: &mut [u32; 4] = run.room.next(known.ids);
        // SAFETY: a quarter of a set has 16 bytes, and four ids have.
        unsafe {
            let ids = _mm_loadu_si128(ids.as_ptr().cast());
            _mm_storeu_si128(place.as_mut_ptr().cast(), _mm_and_si128(ids, ids_alone));
        }
        known.ids += usize::from(ids[15]);
    }
    known
}

/// As [`Memo::short`].
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
pub(super) fn find(memo: &Memo, key: Key, set: usize) -> Option<FewIds> {
    let (ids, _) = ids_of(memo.set(set), key)?.as_chunks();
    Some([0, 1, 2, 3].map(|at| u32::from_le_bytes(ids[at])))
}

/// The ids of a key in its set, if it is there.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn ids_of(set: &[u8; 64], key: Key) -> Option<&[u8; 16]> {
    // SAFETY: a key has 16 bytes, a set 64.
    let (key, slots) =
        unsafe { (_mm_loadu_si128(std::ptr::from_ref(&key).cast()), _mm512_loadu_si512(set.as_ptr().cast())) };
    // By halves of keys and ids: those of the keys are 0, 1, and 4, 5.
    let equal = _mm512_cmpeq_epi64_mask(slots, _mm512_broadcast_i32x4(key));
    let found = usize::from(equal & equal >> 1 & 0b1_0001);
    let (quarters, _) = set.as_chunks();
    // Of the two that a set may hold of a key either is right.
    (found != 0).then(|| &quarters[1 + (found >> 4) * 2])
}
