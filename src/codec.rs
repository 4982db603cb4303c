//! Room `codec`: the one door for bincode values.
//!
//! **Takes** a value or bytes, **gives** bytes or a value. **Promises** that hostile bytes cost at most `LIMIT` bytes of
//! memory, and that a value uses all the bytes it was given: bincode alone checks neither (a length prefix of 2^64
//! aborts the process, trailing bytes are ignored). Values without size must not be decoded (`Vec<()>` never ends).

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};

/// Little endian, integers at their full width: the bytes do not depend on the values, so a header has one length.
fn config<const LIMIT: usize>() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::standard().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// The bytes of a value; `None` when they would exceed `LIMIT`.
#[must_use]
pub fn encode<const LIMIT: usize, T: bincode::Encode>(value: &T) -> Option<Vec<u8>> {
    bincode::encode_to_vec(value, config::<LIMIT>()).ok().filter(|bytes| bytes.len() <= LIMIT)
}

/// The value in `bytes`; `None` when they are too few, too many, or ask for more than `LIMIT` bytes of memory.
#[must_use]
pub fn decode<const LIMIT: usize, T: bincode::Decode<()>>(bytes: &[u8]) -> Option<T> {
    match bincode::decode_from_slice(bytes, config::<LIMIT>()) {
        Ok((value, used)) if used == bytes.len() => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let value = (7u32, vec![1u64, 2, 3]);
        let bytes = encode::<64, _>(&value).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 24);
        assert_eq!(decode::<64, (u32, Vec<u64>)>(&bytes), Some(value));
    }

    #[test]
    fn hostile_length_is_refused() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 8]);
        assert_eq!(decode::<64, Vec<u64>>(&bytes), None);
        assert_eq!(decode::<64, Vec<u64>>(&40_000_000_000u64.to_le_bytes()), None);
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        assert_eq!(decode::<64, u32>(&[1, 0, 0, 0, 0]), None);
        assert_eq!(decode::<64, u32>(&[1, 0, 0]), None);
    }

    #[test]
    fn encoding_beyond_the_limit_is_refused() {
        assert_eq!(encode::<8, _>(&vec![0u64; 3]), None);
    }
}
