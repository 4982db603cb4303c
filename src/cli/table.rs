//! Tables of figures for a terminal.

use ciyuan::evaluate::LanguageReport;

/// Rows of cells as text: the first column to the left, the others to the right, each as wide as it must be on a
/// terminal, where a Chinese character takes two columns.
pub(super) fn render(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[at] - columns(cell));
            match at {
                0 => line.push_str(&format!("{cell}{pad}")),
                _ => line.push_str(&format!("  {pad}{cell}")),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How many columns of a terminal a text takes: two for the characters of East Asian writing (the blocks that are wide or
/// full-width in Unicode's Annex 11), one for others.
fn columns(text: &str) -> usize {
    let wide = |c: char| {
        matches!(
            u32::from(c),
            0x1100..=0x115F | 0x2E80..=0x303E | 0x3041..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF
                | 0xFE30..=0xFE6F | 0xFF01..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x2_0000..=0x3_FFFD
        )
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

/// Held-out figures by language.
pub(super) fn languages(rows: &[LanguageReport]) -> String {
    let head = ["held out", "documents", "bytes", "tokens", "bytes/token", "bits/byte", "zstd -19", "xz -9", "unigram"];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        let LanguageReport { language, documents, bytes, tokens, bytes_per_token, bits_per_byte, anchors, .. } = row;
        let mut line = vec![language.clone()];
        line.extend([documents, bytes, tokens].map(u64::to_string));
        line.push(format!("{bytes_per_token:.2}"));
        line.extend([*bits_per_byte, anchors.zstd, anchors.xz, anchors.unigram].map(|bits| format!("{bits:.3}")));
        cells.push(line);
    }
    render(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["词元".to_owned(), "100".to_owned()]];
        assert_eq!(render(&rows), "a       1\n词元  100\n");
    }
}
