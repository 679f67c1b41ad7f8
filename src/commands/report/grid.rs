//! Text in aligned columns.

use std::fmt;

/// The widest a column of words gets; what is longer ends in an ellipsis.
const MAX_WIDTH: usize = 44;

/// Rows of text under a header, printed with columns as wide as they need.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// A header, and the side that the column's text keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    header: &'static str,
    right: bool,
}

impl Column {
    pub fn left(header: &'static str) -> Column {
        let right = false;
        Column { header, right }
    }

    pub fn right(header: &'static str) -> Column {
        let right = true;
        Column { header, right }
    }
}

impl Grid {
    pub fn new(columns: Vec<Column>) -> Grid {
        let rows = Vec::new();
        Grid { columns, rows }
    }

    /// Adds a row with one text for each column.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.iter_mut().for_each(shorten);
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The width of a column; none where no row has text in it.
    fn width(&self, column: usize) -> Option<usize> {
        let widest = self
            .rows
            .iter()
            .map(|row| row[column].chars().count())
            .max()?;
        let header = self.columns[column].header.chars().count();
        (widest > 0).then_some(widest.max(header))
    }
}

fn shorten(text: &mut String) {
    if text.chars().count() > MAX_WIDTH {
        *text = text.chars().take(MAX_WIDTH - 1).chain(['…']).collect();
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<_> = (0..self.columns.len()).map(|i| self.width(i)).collect();
        let header = self
            .columns
            .iter()
            .map(|column| column.header.to_string())
            .collect();
        for row in [&header]
            .into_iter()
            .chain(&self.rows)
            .take_while(|_| !self.is_empty())
        {
            let texts = row.iter().zip(&self.columns).zip(&widths);
            let line: Vec<String> = texts
                .filter_map(|((text, column), width)| match (column.right, (*width)?) {
                    (true, width) => Some(format!("{text:>width$}")),
                    (false, width) => Some(format!("{text:<width$}")),
                })
                .collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}
