//! A collection, page by page, by the SDK's pagers. Called by the [`reader`](super::reader).

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use azure_core::{
    http::{Pager, Response, pager::PageIterator},
    time::OffsetDateTime,
};
use azure_security_keyvault_keys::{KeyClient, models::ListKeyPropertiesResult};
use azure_security_keyvault_secrets::{SecretClient, models::ListSecretPropertiesResult};
use futures::{Stream, TryStreamExt as _, stream};
use keyward_types::ObjectKind;

use super::{
    Listed, Page, ReadError,
    answer::{self, identifier},
    lane::{Lane, Turn},
    origin::Origin,
};

/// `GET /secrets`
pub(super) fn secrets<'a>(
    lane: &'a Lane<SecretClient>,
    vault: &'a Origin,
    timeout: Duration,
) -> impl Stream<Item = Result<Page, ReadError>> + Send + 'a {
    let open = |client: &SecretClient| client.list_secret_properties(None).map(Pager::into_pages);
    pages(lane, open, timeout, move |page| secrets_page(page, vault))
}

/// What a page of `GET /secrets` of `vault` says. Pure.
pub fn secrets_page(page: ListSecretPropertiesResult, vault: &Origin) -> Result<Page, ReadError> {
    let items = page.value.into_iter().map(|item| {
        let told = item.attributes.unwrap_or_default();
        listed(item.id.as_deref(), vault, ObjectKind::Secret, told.enabled, told.updated)
    });
    finished(items, page.next_link)
}

/// `GET /keys`
pub(super) fn keys<'a>(
    lane: &'a Lane<KeyClient>,
    vault: &'a Origin,
    timeout: Duration,
) -> impl Stream<Item = Result<Page, ReadError>> + Send + 'a {
    let open = |client: &KeyClient| client.list_key_properties(None).map(Pager::into_pages);
    pages(lane, open, timeout, move |page: ListKeyPropertiesResult| {
        let items = page.value.into_iter().map(|item| {
            let told = item.attributes.unwrap_or_default();
            listed(item.kid.as_deref(), vault, ObjectKind::Key, told.enabled, told.updated)
        });
        finished(items, page.next_link)
    })
}

/// Where a listing stands: before its first page, which may be challenged, or behind one.
enum At<C: 'static, M: Send + 'static> {
    Start,
    Behind { turn: Option<Turn<C>>, pages: PageIterator<Response<M>> },
}

fn pages<'a, C, M>(
    lane: &'a Lane<C>,
    open: impl Fn(&C) -> azure_core::Result<PageIterator<Response<M>>> + Send + Sync + 'a,
    timeout: Duration,
    read: impl Fn(M) -> Result<Page, ReadError> + Send + Sync + 'a,
) -> impl Stream<Item = Result<Page, ReadError>> + Send + 'a
where
    C: Send + Sync + 'static,
    M: serde::de::DeserializeOwned + Send + 'static,
{
    stream::try_unfold((At::Start, open, read), move |(at, open, read)| async move {
        let step = async {
            let (turn, mut pages) = match at {
                At::Start => {
                    let turn = lane.enter().await.map_err(|error| failed(&error))?;
                    let pages = open(turn.client()).map_err(|error| failed(&error))?;
                    (Some(turn), pages)
                }
                At::Behind { turn, pages } => (turn, pages),
            };
            let page = pages.try_next().await.map_err(|error| failed(&error))?;
            drop(turn);
            let Some(page) = page else { return Ok(None) };
            let page = page.into_model().map_err(|error| failed(&error))?;
            Ok(Some((read(page)?, At::Behind { turn: None, pages })))
        };
        let late = |_| Err(ReadError::Unreachable(format!("no answer within {timeout:?}")));
        let step = tokio::time::timeout(timeout, step).await.unwrap_or_else(late)?;
        Ok(step.map(|(page, at)| (page, (at, open, read))))
    })
}

fn listed(
    id: Option<&str>,
    vault: &Origin,
    kind: ObjectKind,
    enabled: Option<bool>,
    updated: Option<OffsetDateTime>,
) -> Result<Option<Listed>, ReadError> {
    let name = identifier::listed(id, vault, kind)?;
    Ok(name.map(|name| Listed { name, enabled: enabled != Some(false), updated }))
}

fn finished(
    items: impl Iterator<Item = Result<Option<Listed>, ReadError>>,
    next_link: Option<String>,
) -> Result<Page, ReadError> {
    let items = items.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let next = next_link.filter(|link| !link.is_empty()).map(|link| {
        let mut digest = DefaultHasher::new();
        link.hash(&mut digest);
        digest.finish()
    });
    Ok(Page { items, next })
}

fn failed(error: &azure_core::Error) -> ReadError {
    answer::read_error(error, OffsetDateTime::now_utc())
}
