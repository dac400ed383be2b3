//! Rows as aligned columns.

use std::io::{self, Write};

/// Writes a head and rows.
pub(super) fn table<const N: usize>(
    out: &mut impl Write,
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    aligned(out, std::iter::once(head.map(str::to_owned)).chain(rows))
}

/// Writes rows, each column as wide as its widest cell.
pub(super) fn aligned<const N: usize>(out: &mut impl Write, rows: impl Iterator<Item = [String; N]>) -> io::Result<()> {
    let rows: Vec<[String; N]> = rows.collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default());
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
