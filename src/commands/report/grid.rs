//! Text in aligned columns.

use super::wrap::wrapped;
use std::fmt;

/// A column that gives way to the others is never narrower, whatever the width of the whole.
const LEAST: usize = 16;
const BETWEEN: &str = "  ";

/// Rows of text under a header, printed with columns as wide as they need.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// The widest column of words is wrapped to keep lines within it.
    width: usize,
}

/// A header, and the side that the column's text keeps to.
#[derive(Clone, Debug)]
pub struct Column {
    header: String,
    right: bool,
}

impl Column {
    pub fn left(header: impl Into<String>) -> Column {
        Column {
            header: header.into(),
            right: false,
        }
    }

    pub fn right(header: impl Into<String>) -> Column {
        Column {
            header: header.into(),
            right: true,
        }
    }
}

impl Grid {
    /// A table of any width.
    pub fn new(columns: Vec<Column>) -> Grid {
        Grid::within(usize::MAX, columns)
    }

    /// A table of at most `width` characters, where the other columns leave the widest one enough.
    pub fn within(width: usize, columns: Vec<Column>) -> Grid {
        let rows = Vec::new();
        Grid {
            columns,
            rows,
            width,
        }
    }

    /// Adds a row with one text for each column.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The widths of all columns; none where no row has text in it.
    fn widths(&self) -> Vec<Option<usize>> {
        let mut widths: Vec<_> = (0..self.columns.len()).map(|i| self.natural(i)).collect();
        let used: Vec<usize> = widths.iter().copied().flatten().collect();
        let gaps = BETWEEN.len() * used.len().saturating_sub(1);
        let over = (used.iter().sum::<usize>() + gaps).saturating_sub(self.width);
        let words = widths.iter_mut().zip(&self.columns);
        let words = words.filter_map(|(width, column)| width.as_mut().filter(|_| !column.right));
        if let Some(widest) = words.max_by_key(|width| **width) {
            *widest = widest.saturating_sub(over).max(LEAST.min(*widest));
        }
        widths
    }

    /// What a column needs.
    fn natural(&self, column: usize) -> Option<usize> {
        let texts = self.rows.iter().map(|row| row[column].chars().count());
        let widest = texts.max().filter(|widest| *widest > 0)?;
        Some(widest.max(self.columns[column].header.chars().count()))
    }

    /// One row, in as many lines as its widest text needs.
    fn write_row(
        &self,
        f: &mut fmt::Formatter<'_>,
        row: &[String],
        widths: &[Option<usize>],
    ) -> fmt::Result {
        let shown = row.iter().zip(&self.columns).zip(widths);
        let shown = shown.filter_map(|((text, column), width)| Some((text, column, (*width)?)));
        let cells: Vec<_> = shown
            .map(|(text, column, width)| (wrapped(text, width, BETWEEN), column.right, width))
            .collect();
        let height = cells.iter().map(|(lines, ..)| lines.len()).max();
        for i in 0..height.unwrap_or(0) {
            let texts = cells.iter().map(|(lines, right, width)| {
                let text = lines.get(i).map_or("", String::as_str);
                match right {
                    true => format!("{text:>width$}"),
                    false => format!("{text:<width$}"),
                }
            });
            let line = texts.collect::<Vec<_>>().join(BETWEEN);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        let widths = self.widths();
        let headers = self.columns.iter().map(|column| column.header.clone());
        self.write_row(f, &headers.collect::<Vec<_>>(), &widths)?;
        let mut rows = self.rows.iter();
        rows.try_for_each(|row| self.write_row(f, row, &widths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_words_give_way_and_empty_columns_vanish() {
        let columns = vec![
            Column::left("cell"),
            Column::left("nothing"),
            Column::right("n"),
        ];
        let mut grid = Grid::within(24, columns);
        let text = |label: &str, n: &str| [label, "", n].map(String::from).to_vec();
        grid.push(text("pipeline only: device, per image", "6"));
        grid.push(text("short", "12"));
        insta::assert_snapshot!(grid, @"
    cell                   n
    pipeline only:         6
      device, per image
    short                 12
    ");
    }
}
