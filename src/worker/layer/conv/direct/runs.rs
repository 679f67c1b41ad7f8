//! How a tile moves over the lines of an image, and where the image ends under it.
//!
//! In: lengths. Out: ranges. Knows neither numbers nor registers.

use std::ops::Range;

/// Places in a row at which the same rows of a tile lie on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which of the tile's places.
    pub places: Range<usize>,
    /// Rows of the tile that are on the line; never empty.
    pub rows: Range<usize>,
    /// Where on the line the first of these rows is, at the first of the places.
    pub start: usize,
}

/// A tile whose row `i` is at `offset + place · stride + i` of a line, less the `padding` before it.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub offset: usize,
    pub padding: usize,
    pub places: usize,
    pub stride: usize,
    pub rows: usize,
    /// Length of the line; what is before or behind it is padding.
    pub line: usize,
}

impl Path {
    /// The runs in which the tile is on the line, in order.
    pub fn runs(self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for place in 0..self.places {
            let at = self.offset + place * self.stride;
            let rows = self.padding.saturating_sub(at)
                ..(self.padding + self.line).saturating_sub(at).min(self.rows);
            if rows.is_empty() {
                continue;
            }
            match runs.last_mut() {
                Some(last) if last.places.end == place && last.rows == rows => {
                    last.places.end += 1;
                }
                _ => runs.push(Run {
                    places: place..place + 1,
                    start: at + rows.start - self.padding,
                    rows,
                }),
            }
        }
        runs
    }
}

/// Cuts `total` into as few parts of at most `most` as there can be, of nearly equal lengths.
pub fn parts(total: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = total.div_ceil(most);
    (0..count).map(move |i| i * total / count..(i + 1) * total / count)
}

/// Lines of the output, of `out`, that row `tap` of the kernel takes from inside of an image with
/// `lines`. The same for rows of the kernel and a line of the output.
pub fn inside(tap: usize, padding: usize, lines: usize, out: usize) -> Range<usize> {
    padding.saturating_sub(tap)..(lines + padding).saturating_sub(tap).min(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_places_with_the_same_rows_are_one_run() {
        let path = Path {
            offset: 0,
            padding: 2,
            places: 5,
            stride: 1,
            rows: 6,
            line: 7,
        };
        let run = |places, rows, start| Run {
            places,
            rows,
            start,
        };
        let expected = [
            run(0..1, 2..6, 0),
            run(1..2, 1..6, 0),
            run(2..4, 0..6, 0),
            run(4..5, 0..5, 2),
        ];
        assert_eq!(path.runs(), expected);
    }

    #[test]
    fn a_place_beside_the_line_is_in_no_run() {
        let path = Path {
            offset: 3,
            padding: 6,
            places: 5,
            stride: 3,
            rows: 3,
            line: 6,
        };
        assert_eq!(
            path.runs(),
            [Run {
                places: 1..3,
                rows: 0..3,
                start: 0
            }]
        );
    }

    #[test]
    fn parts_are_even() {
        let parts: Vec<_> = parts(13, 6).collect();
        assert_eq!(parts, [0..4, 4..8, 8..13]);
    }
}
