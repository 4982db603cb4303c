//! The ids of the pieces of a block with AVX-512: those of four pieces are moved together by one instruction.
//!
//! `unsafe` here is loads and stores of 64 bytes in arrays that are as long. `gathered.rs` compares it with the plain
//! way.

use std::arch::x86_64::*;

use super::block::{Block, CHARACTERS, STEP};
use super::block_x86::{all, load};
use super::gathered::Gathered;
use super::ids::Room;

/// As [`plain_more`](super::gathered::plain_more), of a block whose marks were read.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
pub(super) fn more(block: &Block) -> [u64; 2] {
    let (mut two, mut three) = (0, 0);
    for at in (0..block.count).step_by(STEP) {
        let counts = _mm512_and_si512(load(&block.marks, at), all(3));
        two |= u64::from(_mm512_cmpgt_epu32_mask(counts, all(1))) << at;
        three |= u64::from(_mm512_cmpgt_epu32_mask(counts, all(2))) << at;
    }
    let within = u64::MAX >> (CHARACTERS - block.count);
    [two & within, three & within]
}

/// As [`plain_write`](super::gathered::plain_write).
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
pub(super) fn write(gathered: &Gathered, heads: u64, room: &mut Room) -> usize {
    let more = gathered.more.map(|more| more & heads);
    let mut written = 0;
    let (fours, _) = gathered.ids.as_chunks::<4>();
    for (ids, at) in fours.iter().zip((0..CHARACTERS).step_by(4)) {
        if heads >> at == 0 {
            break;
        }
        // A bit for each id of each of the four.
        let counting = _pdep_u64(heads >> at, 0x1111)
            | _pdep_u64(more[0] >> at, 0x2222)
            | _pdep_u64(more[1] >> at, 0x4444)
            | _pdep_u64(more[2] >> at, 0x8888);
        // SAFETY: four times four ids have 64 bytes.
        let ids = unsafe { _mm512_loadu_si512(ids.as_ptr().cast()) };
        let ids = _mm512_maskz_compress_epi32(counting as u16, ids);
        let place: &mut [u32; 16] = room.next(written);
        // SAFETY: the array has 64 bytes.
        unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), ids) };
        written += counting.count_ones() as usize;
    }
    written
}
