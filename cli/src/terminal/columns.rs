//! Lines in columns.

use std::io::{self, Write};
use std::iter;

/// Characters of the widest column; what is wider goes on beyond it, and the others stay where they
/// are.
const MAX_COLUMN: usize = 100;

/// On which side of its column a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// How wide a column of these is.
pub(crate) fn widest<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    cells.map(width).max().unwrap_or(0)
}

/// How many characters of a column this takes.
pub(crate) fn width(cell: &str) -> usize {
    cell.chars().count().min(MAX_COLUMN)
}

/// Writes a line for each row, with as many cells as there are columns.
pub(crate) fn write_columns<const N: usize>(
    columns: [Side; N],
    rows: &[[String; N]],
    out: &mut dyn Write,
) -> io::Result<()> {
    let widths: [usize; N] =
        std::array::from_fn(|column| widest(rows.iter().map(|row| row[column].as_str())));
    let mut line = String::new();
    for row in rows {
        line.clear();
        for ((cell, width), side) in row.iter().zip(widths).zip(columns) {
            push_cell(cell, width, side, &mut line);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Appends a cell, and the gap to the next; columns that are empty take no room.
fn push_cell(cell: &str, width: usize, side: Side, line: &mut String) {
    if width == 0 {
        return;
    }
    let padding = width.saturating_sub(cell.chars().count());
    let (before, after) = if side == Side::Right { (padding, 0) } else { (0, padding) };
    line.extend(iter::repeat_n(' ', before));
    line.push_str(cell);
    line.extend(iter::repeat_n(' ', after + 2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_empty_columns_take_no_room() {
        let rows = [["a", "1", "", "x"], ["bcd", "20", "", ""]].map(|row| row.map(String::from));
        let mut out = Vec::new();
        let columns = [Side::Left, Side::Right, Side::Left, Side::Left];
        write_columns(columns, &rows, &mut out).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "a     1  x\nbcd  20\n");
    }
}
