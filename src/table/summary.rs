//! `summary.csv`: derived from the rows, and rewritten as a whole.

use super::TableError;
use super::replace::replace_file;
use std::path::Path;

/// Replaces the file by `rows`, all of which have the same columns in the same order.
///
/// # Errors
/// Whatever keeps the file from being written; the old one is left as it was then.
pub fn write_summary(path: &Path, rows: &[Vec<(String, String)>]) -> Result<(), TableError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = rows
        .first()
        .into_iter()
        .map(|row| row.iter().map(|(column, _)| column));
    let lines = rows.iter().map(|row| row.iter().map(|(_, value)| value));
    let written = header
        .into_iter()
        .try_for_each(|names| writer.write_record(names));
    let written = written.and_then(|()| {
        lines
            .into_iter()
            .try_for_each(|line| writer.write_record(line))
    });
    written.expect("rows of equal length can be written to memory");
    let text = writer.into_inner().expect("memory can be flushed");
    replace_file(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_summary_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.csv");
        let row = |cell: &str| {
            vec![
                ("cell".to_owned(), cell.to_owned()),
                ("note".to_owned(), "a,b".to_owned()),
            ]
        };
        write_summary(&path, &[row("1"), row("2")]).unwrap();
        write_summary(&path, &[row("3")]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "cell,note\n3,\"a,b\"\n");
        write_summary(&path, &[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
