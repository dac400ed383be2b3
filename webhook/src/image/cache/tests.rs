use super::Images;

impl Images {
    /// moka tidies up now and then; figures are exact after it has.
    pub(in super::super) async fn settle(&self) {
        self.0.configs.run_pending_tasks().await;
    }
}
