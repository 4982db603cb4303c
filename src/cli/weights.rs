//! Shares of inputs: `--weight`.

use std::path::PathBuf;

use super::failure::{Failure, Outcome};

/// A path and its share, in millionths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weight {
    path: PathBuf,
    share: u64,
}

const SHARES: f64 = 1e6;

/// `PATH=SHARE`.
pub(super) fn weight(text: &str) -> Result<Weight, String> {
    let (path, share) = text.rsplit_once('=').ok_or("write PATH=SHARE, as in `zh=0.5`")?;
    let number: f64 = share.parse().map_err(|_| format!("`{share}` is no number"))?;
    let share = (number * SHARES).round();
    if !(1.0..=1e15).contains(&share) {
        return Err(format!("the share {number} is not from 0.000001 to 1000000000"));
    }
    Ok(Weight { path: path.into(), share: share as u64 })
}

/// The weight of each path, or none at all.
pub(super) fn weights_of(paths: &[PathBuf], weights: &[Weight]) -> Outcome<Vec<u64>> {
    let names = || paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ");
    for (at, Weight { path, .. }) in weights.iter().enumerate() {
        if !paths.contains(path) {
            let text = format!("--weight names `{}`, which is no input; inputs are {}", path.display(), names());
            return Err(Failure::Usage(text));
        }
        if weights[..at].iter().any(|other| other.path == *path) {
            return Err(Failure::Usage(format!("--weight names `{}` twice", path.display())));
        }
    }
    if weights.is_empty() {
        return Ok(Vec::new());
    }
    let share = |path: &PathBuf| {
        let missing = || {
            let text = format!("`{}` has no --weight; give one for each input, or none at all", path.display());
            Failure::Usage(text)
        };
        weights.iter().find(|weight| weight.path == *path).map(|weight| weight.share).ok_or_else(missing)
    };
    paths.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_from_the_last_equals_sign() {
        assert_eq!(weight("a=b/zh=0.25"), Ok(Weight { path: "a=b/zh".into(), share: 250_000 }));
        assert_eq!(weight("zh=3").map(|weight| weight.share), Ok(3_000_000));
        for wrong in ["zh", "zh=", "zh=x", "zh=0", "zh=-1", "zh=NaN", "zh=inf", "zh=1e-9", "zh=1e12"] {
            assert!(weight(wrong).is_err(), "{wrong}");
        }
    }
}
