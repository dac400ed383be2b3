//! An API server's calls: trusting what the webhook configuration says at that moment, and nothing else. As a real one, it
//! keeps connections for as long as that stays the same.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Certificate, Client, StatusCode, header::CONTENT_TYPE, tls::TlsInfo};

use super::{
    load::Caller,
    scene,
    served::{Served, Server},
};
use crate::{
    admission::{
        load::check,
        reviews::{Review, Reviews},
        stand::IMAGE,
    },
    api::ApiServer,
};

/// Who has pods reviewed.
pub(super) struct Reviewer {
    pub(super) api: Arc<ApiServer>,
    pub(super) webhook: SocketAddr,
    pub(super) reviews: Reviews,
    pub(super) served: Arc<Served>,
}

/// Over connections as `idle` allows.
pub(super) struct Asking {
    reviewer: Reviewer,
    /// How many connections are kept.
    idle: usize,
    current: Option<(String, Client)>,
}

impl Reviewer {
    pub(super) fn anew(self) -> Asking {
        Asking { reviewer: self, idle: 0, current: None }
    }

    pub(super) fn kept(self) -> Asking {
        Asking { reviewer: self, idle: 2, current: None }
    }

    /// Whom the configuration says to trust.
    fn bundle(&self) -> anyhow::Result<String> {
        let configuration = scene::configuration(&self.api).context("there is no webhook configuration")?;
        let bundle = configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().context("no caBundle")?;
        Ok(String::from_utf8(STANDARD.decode(bundle)?)?)
    }

    fn client(&self, bundle: &str, idle: usize) -> anyhow::Result<Client> {
        let certificates = Certificate::from_pem_bundle(bundle.as_bytes())?;
        let client = Client::builder().tls_certs_only(certificates).tls_info(true).no_proxy().http1_only();
        Ok(client.pool_max_idle_per_host(idle).resolve(scene::WEBHOOK_NAME, self.webhook).build()?)
    }
}

impl Caller for Asking {
    async fn call(&mut self, number: usize) -> anyhow::Result<()> {
        let bundle = self.reviewer.bundle()?;
        let client = match self.current.take() {
            Some((of, client)) if of == bundle => client,
            _ => self.reviewer.client(&bundle, self.idle)?,
        };
        self.current = Some((bundle.clone(), client.clone()));
        let review: Review = self.reviewer.reviews.one(number, IMAGE);
        let url = format!("https://{}:{}/pods?timeout=10s", scene::WEBHOOK_NAME, self.reviewer.webhook.port());
        let request = client.post(url).header(CONTENT_TYPE, "application/json").body(review.body.clone());
        // Its words name the URL, port and all.
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let shown = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        self.reviewer.served.note(Server::Webhook, shown.context("the webhook showed no certificate")?, &bundle);
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        check(&review, &answer.bytes().await.map_err(reqwest::Error::without_url)?)
    }
}
