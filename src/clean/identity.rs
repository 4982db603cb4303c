//! Identity numbers of the People's Republic of China: GB 11643-1999, with the check character of ISO 7064, MOD 11-2.

/// Weights of the first 17 digits: 2 to the power of 17 down to 1, modulo 11.
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// The check character by the weighted sum modulo 11.
const CHECKS: [u8; 11] = *b"10X98765432";

/// Whether `text` is an identity number: 17 digits and a check character that is right, with a date of birth that a
/// calendar has (29 February of any year).
///
/// ```
/// use ciyuan::clean::is_identity_number;
/// // The examples of the standard.
/// assert!(is_identity_number("11010519491231002X") && is_identity_number("440524188001010014"));
/// assert!(!is_identity_number("110105194912310021"));
/// ```
#[must_use]
pub fn is_identity_number(text: &str) -> bool {
    let Ok([digits @ .., check]) = <[u8; 18]>::try_from(text.as_bytes()) else { return false };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    CHECKS[sum as usize % 11] == check.to_ascii_uppercase() && is_date(&digits[6..14])
}

/// Whether eight digits are a date from 1800 on.
fn is_date(digits: &[u8]) -> bool {
    let number = |part: &[u8]| part.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    let (year, month, day) = (number(&digits[..4]), number(&digits[4..6]), number(&digits[6..]));
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1800..2100).contains(&year) && (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO 7064 itself: the number, its check character as the last place, is 1 modulo 11 with weights of powers of 2.
    fn is_pure_mod_11_2(text: &str) -> bool {
        let value = |c: char| if c == 'X' { 10 } else { c.to_digit(10).unwrap() };
        text.chars().fold(0, |sum, c| (sum * 2 + value(c)) % 11) == 1
    }

    #[test]
    fn the_check_character_is_that_of_the_standard() {
        for head in ["11010519491231002", "44052418800101001", "34052419800101001", "51012920001231999"] {
            let right: Vec<String> = "0123456789X"
                .chars()
                .map(|check| format!("{head}{check}"))
                .filter(|text| is_identity_number(text))
                .collect();
            assert_eq!(right.len(), 1, "{head}");
            assert!(is_pure_mod_11_2(&right[0]));
        }
        assert!(is_identity_number("11010519491231002x"));
    }

    #[test]
    fn what_is_none() {
        // Too short, too long, no digits, a 13th month, a 30th of February (with their right check characters).
        for text in ["", "11010519491231002", "11010519491231002X0", "1101051949123100XX", "词元词元词元"] {
            assert!(!is_identity_number(text), "{text}");
        }
        for head in ["11010519491331002", "11010519490230002", "11010519490200002", "11010517991231002"] {
            assert!("0123456789X".chars().all(|check| !is_identity_number(&format!("{head}{check}"))), "{head}");
        }
    }
}
