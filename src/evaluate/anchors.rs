//! What bits per byte are compared with: general-purpose compressors on the same bytes.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// Bits per byte of simple means on the held-out bytes alone; none of them has seen the training text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Anchors {
    /// The entropy of the bytes' own frequencies: no code that looks at single bytes does better.
    pub unigram: f64,
    /// `xz -9`.
    pub xz: f64,
    /// `zstd -19`.
    pub zstd: f64,
}

impl Anchors {
    /// The anchors of `bytes`; all 0 when there are none.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self { unigram: 0.0, xz: 0.0, zstd: 0.0 };
        }
        let bits = |compressed: std::io::Result<Vec<u8>>| match compressed {
            Ok(compressed) => 8.0 * compressed.len() as f64 / bytes.len() as f64,
            Err(_) => unreachable!("compressing into memory fails only when memory does"),
        };
        let (xz, zstd) = rayon::join(|| xz(bytes), || zstd::bulk::compress(bytes, 19));
        Self { unigram: unigram_entropy(bytes), xz: bits(xz), zstd: bits(zstd) }
    }
}

fn xz(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 9);
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Shannon entropy of the byte frequencies, in bits.
fn unigram_entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u64; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| -(count as f64 / total) * (count as f64 / total).log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy() {
        assert!((unigram_entropy(b"abab") - 1.0).abs() < 1e-12);
        assert!((unigram_entropy(&(0..=255).collect::<Vec<u8>>()) - 8.0).abs() < 1e-12);
        assert_eq!(unigram_entropy(b"aaaa"), 0.0);
    }

    #[test]
    fn compressors_compress() {
        let anchors = Anchors::of("词元是语言模型的单位。".repeat(1000).as_bytes());
        assert!(anchors.xz < 0.1 && anchors.zstd < 0.1 && anchors.unigram > 3.0, "{anchors:?}");
        assert_eq!(Anchors::of(b""), Anchors { unigram: 0.0, xz: 0.0, zstd: 0.0 });
    }
}
