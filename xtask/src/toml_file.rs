//! Reading of TOML files by paths of keys.

use crate::failure::Failure;
use crate::tree::Tree;
use toml::de::{DeTable, DeValue};

/// Calls `read` with the decoded table of the file `relative`.
pub(crate) fn with_file<R>(
    tree: &Tree,
    relative: &str,
    read: impl FnOnce(&DeTable<'_>) -> R,
) -> Result<R, Failure> {
    let text = tree.read(relative)?;
    let table = DeTable::parse(&text)
        .map_err(|error| Failure::shape(relative, format!("not TOML: {}", error.message())))?;
    Ok(read(table.get_ref()))
}

/// Returns the value at a path of keys such as `["licenses", "allow"]`.
pub(crate) fn at<'a, 'i>(table: &'a DeTable<'i>, path: &[&str]) -> Option<&'a DeValue<'i>> {
    let (first, rest) = path.split_first()?;
    let mut value = table.get(*first)?.get_ref();
    for key in rest {
        value = value.get(*key)?.get_ref();
    }
    Some(value)
}

/// Returns the texts of an array of strings; other items are left out.
pub(crate) fn texts(value: Option<&DeValue<'_>>) -> Vec<String> {
    let items = value.and_then(DeValue::as_array).into_iter().flatten();
    items.filter_map(|item| item.get_ref().as_str()).map(str::to_owned).collect()
}

/// Returns the value as it would be compared with another: text, number or truth value.
pub(crate) fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(format!("{text:?}")),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    #[test]
    fn values_are_found_by_path_and_bad_files_are_named() {
        let (_keep, tree) =
            planted(&[("a.toml", "[x]\ny = [\"1\", \"2\"]\nz = 3\n"), ("b.toml", "=")]);
        let texts = with_file(&tree, "a.toml", |table| {
            assert_eq!(at(table, &["x", "z"]).and_then(scalar).as_deref(), Some("3"));
            assert!(at(table, &["x", "absent"]).is_none());
            texts(at(table, &["x", "y"]))
        });
        assert_eq!(texts.unwrap(), ["1", "2"]);
        let failure = with_file(&tree, "b.toml", |_| ()).unwrap_err();
        assert!(failure.to_string().starts_with("b.toml: not TOML: "), "{failure}");
    }
}
