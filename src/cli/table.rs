//! Tables of figures for a terminal.

use ciyuan::evaluate::LanguageReport;

/// Rows of cells as text: the first column to the left, the others to the right, each as wide as it must be.
pub(super) fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[at] - cell.chars().count());
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
        assert_eq!(render(&rows), "a     1\n词元  100\n");
    }
}
