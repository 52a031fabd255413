//! What somebody probably meant to type.

/// The one of `known` that `word` was probably meant to be: the fewest letters to insert, drop or
/// change, and not more than a third of them (so that `xyz` is not taken for `app`).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a name this long, and the distance costs its length squared.
    if word.chars().count() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance, in one row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let substituted = corner + usize::from(letter != *other);
            corner = row[j + 1];
            row[j + 1] = substituted.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_few_wrong_letters_are_a_typo_and_more_are_another_word() {
        for (word, near) in [
            ("stabel", Some("stable")),
            ("bata", Some("beta")),
            ("stable", Some("stable")),
            ("xyzzy", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, ["beta", "stable"]), near, "{word:?}");
        }
        assert_eq!(nearest("a", ["b", "c"]), Some("b"));
        assert_eq!(nearest(&"a".repeat(100_000), ["b"]), None);
    }
}
