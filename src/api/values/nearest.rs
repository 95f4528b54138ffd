//! Knows which known name an unknown one may mean.
//! Does not know what the names are of.

/// The nearest of `names` to an unknown one, if one is near enough to be meant.
pub fn nearest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A host may pass anything as a name.
    if unknown.len() > 64 {
        return None;
    }
    let unknown = unknown.to_ascii_lowercase();
    names
        .map(|name| {
            (
                strsim::levenshtein(&unknown, &name.to_ascii_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| {
            *distance <= (name.len() / 3).max(2) && *distance < name.len() - 1
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not_guessed() {
        let names = ["port", "host", "pingInterval", "maxConnections"];
        let nearest_of = |unknown| nearest(unknown, names.into_iter());
        assert_eq!(nearest_of("prot"), Some("port"));
        assert_eq!(nearest_of("ports"), Some("port"));
        assert_eq!(nearest_of("pingintervall"), Some("pingInterval"));
        assert_eq!(nearest_of("maxconections"), Some("maxConnections"));
        assert_eq!(nearest_of("ref"), None);
    }
}
