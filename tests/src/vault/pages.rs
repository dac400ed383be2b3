//! Lists come in pages of at most 25, with an absolute `nextLink` that carries an explicit port, as Key Vault's does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::errors::Refusal;

/// The most Key Vault ever puts on a page.
pub(super) const MAX_PAGE: usize = 25;

/// The query of a request, decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes keys and values: one SDK sends `api%2Dversion`, another `%24skiptoken`.
    pub(super) fn parse(raw: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(raw.unwrap_or("").as_bytes()).into_owned().collect())
    }

    /// The first value of `key`, any case.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }
}

/// One page of `items`, which are sorted by their first half.
pub(super) fn page(
    items: impl Iterator<Item = (String, Value)>,
    query: &Query,
    page_size: usize,
    list_url: &str,
) -> Result<Value, Refusal> {
    let asked = match query.get("maxresults") {
        None => MAX_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=MAX_PAGE).contains(size))
            .ok_or_else(|| Refusal::bad_parameter(format!("maxresults must be a number from 1 to {MAX_PAGE}.")))?,
    };
    let after = match query.get("$skiptoken") {
        None => None,
        Some(token) => Some(
            URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| Refusal::bad_parameter("$skiptoken is not one this vault gave."))?,
        ),
    };
    let size = asked.min(page_size);
    let mut rest = items.skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after)).peekable();
    let mut values = Vec::new();
    let mut last = String::new();
    while values.len() < size {
        let Some((key, value)) = rest.next() else { break };
        last = key;
        values.push(value);
    }
    let next = rest.peek().map(|_| {
        let version = query.get("api-version").unwrap_or("");
        format!(
            "{list_url}?api-version={version}&$skiptoken={}&maxresults={asked}",
            URL_SAFE_NO_PAD.encode(last.as_bytes())
        )
    });
    Ok(json!({"value": values, "nextLink": next}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize) -> impl Iterator<Item = (String, Value)> {
        (0..count).map(|number| (format!("{number:03}"), json!(number)))
    }

    /// Follows nextLink to the end; the sizes of the pages.
    fn walk(count: usize, page_size: usize, first: &str) -> (Vec<usize>, Vec<Value>) {
        let (mut sizes, mut seen, mut raw) = (Vec::new(), Vec::new(), first.to_owned());
        loop {
            let answer =
                page(items(count), &Query::parse(Some(&raw)), page_size, "https://localhost:9443/secrets").unwrap();
            let values = answer["value"].as_array().unwrap().clone();
            sizes.push(values.len());
            seen.extend(values);
            match answer["nextLink"].as_str() {
                Some(next) => next.split_once('?').unwrap().1.clone_into(&mut raw),
                None => return (sizes, seen),
            }
        }
    }

    #[test]
    fn pages_cover_every_item_once() {
        for (count, page_size, first, sizes) in [
            (0, 25, "api-version=7.6", vec![0]),
            (25, 25, "api-version=7.6", vec![25]),
            (60, 25, "api-version=7.6", vec![25, 25, 10]),
            (5, 25, "api%2Dversion=7.6&maxresults=2", vec![2, 2, 1]),
            (5, 3, "api-version=7.6", vec![3, 2]),
        ] {
            let (found, seen) = walk(count, page_size, first);
            assert_eq!(found, sizes, "{count} items by {page_size}, {first}");
            assert_eq!(seen, items(count).map(|(_, value)| value).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_page_size_out_of_bounds_and_a_foreign_token_are_refused() {
        for raw in ["maxresults=0", "maxresults=26", "maxresults=x", "$skiptoken=%21"] {
            assert!(page(items(1), &Query::parse(Some(raw)), 25, "https://localhost").is_err(), "{raw}");
        }
    }
}
