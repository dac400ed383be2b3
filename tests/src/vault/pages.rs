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

/// A page and where it leads.
pub(super) struct Page {
    pub(super) values: Vec<Value>,
    /// The next page, where there is one.
    pub(super) next: Option<String>,
    /// This page itself.
    pub(super) here: String,
}

impl Page {
    /// As answers carry it.
    pub(super) fn into_json(self) -> Value {
        json!({"value": self.values, "nextLink": self.next})
    }

    /// The next page, or this one where it is the last, at another origin.
    pub(super) fn next_at(&self, origin: &str) -> String {
        let link = self.next.as_ref().unwrap_or(&self.here);
        let rest = link.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        format!("{}/{rest}", origin.trim_end_matches('/'))
    }
}

/// One page of a list. `rows_after` gives the rows whose keys come after this one, in order of key: a page costs as much
/// as it shows, wherever in the list it is.
pub(super) fn page<R: Iterator<Item = (String, Value)>>(
    rows_after: impl FnOnce(Option<&str>) -> R,
    query: &Query,
    page_size: usize,
    list_url: &str,
) -> Result<Page, Refusal> {
    let asked = match query.get("maxresults") {
        None => MAX_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=MAX_PAGE).contains(size))
            .ok_or_else(|| Refusal::bad_parameter(format!("maxresults must be a number from 1 to {MAX_PAGE}.")))?,
    };
    let after = query.get("$skiptoken").map(key_of).transpose()?;
    let size = asked.min(page_size);
    let mut rest = rows_after(after.as_deref()).peekable();
    let mut values = Vec::new();
    let mut last = String::new();
    while values.len() < size {
        let Some((key, value)) = rest.next() else { break };
        last = key;
        values.push(value);
    }
    let version = query.get("api-version").unwrap_or("");
    let link = |after: Option<&str>| {
        let token = after.map(|key| format!("&$skiptoken={}", URL_SAFE_NO_PAD.encode(key.as_bytes())));
        format!("{list_url}?api-version={version}{}&maxresults={asked}", token.unwrap_or_default())
    };
    let next = rest.peek().map(|_| link(Some(&last)));
    Ok(Page { values, next, here: link(after.as_deref()) })
}

/// The last row of the page before.
fn key_of(token: &str) -> Result<String, Refusal> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| Refusal::bad_parameter("$skiptoken is not one this vault gave."))
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
            let after = |after: Option<&str>| {
                let after = after.map(str::to_owned);
                items(count).skip_while(move |(key, _)| after.as_ref().is_some_and(|after| key <= after))
            };
            let url = "https://localhost:9443/secrets";
            let page = page(after, &Query::parse(Some(&raw)), page_size, url).unwrap();
            sizes.push(page.values.len());
            seen.extend(page.values);
            match page.next {
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
            assert!(page(|_| items(1), &Query::parse(Some(raw)), 25, "https://localhost").is_err(), "{raw}");
        }
    }

    #[test]
    fn a_page_knows_where_it_is_and_where_it_would_be_elsewhere() {
        let first = "api-version=7.6&maxresults=2";
        let at =
            |raw: &str| page(|_| items(3), &Query::parse(Some(raw)), 25, "https://localhost:9443/secrets").unwrap();
        assert_eq!(at(first).here, format!("https://localhost:9443/secrets?{}", "api-version=7.6&maxresults=2"));
        let next = at(first).next.unwrap();
        assert_eq!(at(next.split_once('?').unwrap().1).here, next);
        let elsewhere = at(first).next_at("https://elsewhere.example:443/");
        assert_eq!(elsewhere, next.replace("https://localhost:9443", "https://elsewhere.example:443"));
    }
}
