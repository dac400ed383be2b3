//! What an entry of a pull secret is for.

/// A registry's host with `*` in its labels, a port, and the beginning of a path.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    host: usize,
}

impl Pattern {
    /// Takes any text; what names no host fits nothing.
    pub(super) fn new(entry: &str) -> Self {
        let bare = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
        let bare = bare.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = bare.find('/').map_or((bare, ""), |slash| bare.split_at(slash));
        let path = if path.starts_with("/v1/") || path.starts_with("/v2/") { &path[3..] } else { path };
        let path = if path == "/" { "" } else { path };
        Self { text: host.to_ascii_lowercase() + path, host: host.len() }
    }

    /// Host and path; what entries are sorted by.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn fits(&self, registry: &str, repository: &str) -> bool {
        let (host, path) = self.text.split_at(self.host);
        let beginning = path.strip_prefix('/').unwrap_or(path);
        repository.starts_with(beginning) && host_fits(host, registry)
    }
}

fn host_fits(pattern: &str, registry: &str) -> bool {
    let (pattern, pattern_port) = split(pattern);
    let (host, port) = split(registry);
    let (patterns, labels) = (pattern.split('.'), host.split('.'));
    pattern_port == port
        && patterns.clone().count() == labels.clone().count()
        && patterns.zip(labels).all(|(pattern, label)| label_fits(pattern, label))
}

fn split(authority: &str) -> (&str, Option<&str>) {
    authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
}

/// `*` is any text. Every other part is looked for from the left, the last at the end.
fn label_fits(pattern: &str, label: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == label };
    let Some(mut label) = label.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return label.ends_with(part);
        }
        match label.find(part) {
            Some(at) => label = &label[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, label, fits) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("*b*", "abc", true),
            ("*ab*ab", "ab", false),
            ("**", "abc", true),
            ("a*", "bc", false),
        ] {
            assert_eq!(label_fits(pattern, label), fits, "{pattern} {label}");
        }
    }
}
