//! The controllers, as processes.

use anyhow::Context as _;

use super::{Account, CONTROLLER, NAMESPACE, Service, Stand, broker::broker_url, serving_at};

impl Stand {
    /// Starts controllers until all run. The broker runs then too.
    pub async fn controllers(&self) -> anyhow::Result<()> {
        self.broker().await?;
        let mut controllers = self.controllers.lock().await;
        for (number, controller) in controllers.iter_mut().enumerate() {
            if controller.is_none() {
                *controller = Some(self.start_controller(number).await?);
            }
        }
        Ok(())
    }

    /// Starts controller `number`, if it does not run. The broker runs already.
    pub async fn controller(&self, number: usize) -> anyhow::Result<()> {
        let mut controllers = self.controllers.lock().await;
        if controllers[number].is_none() {
            controllers[number] = Some(self.start_controller(number).await?);
        }
        Ok(())
    }

    /// The metrics of controller `number`, which runs.
    pub async fn controller_metrics(&self, number: usize) -> anyhow::Result<String> {
        metrics_of(&self.controller_printed(number).await.context("it does not run")?).await
    }

    /// Kills one controller, if it runs.
    pub async fn kill_controller(&self, number: usize) -> anyhow::Result<()> {
        match self.controllers.lock().await[number].take() {
            Some(controller) => controller.kill().await,
            None => Ok(()),
        }
    }

    /// Asks one controller to end, and waits for that.
    pub async fn stop_controller(&self, number: usize) -> anyhow::Result<()> {
        match self.controllers.lock().await[number].take() {
            Some(controller) => controller.stop().await,
            None => Ok(()),
        }
    }

    /// Asks all controllers to end, and waits for that.
    pub async fn stop_controllers(&self) -> anyhow::Result<()> {
        for controller in self.controllers.lock().await.iter_mut().filter_map(Option::take) {
            controller.stop().await?;
        }
        Ok(())
    }

    /// What controller `number` has printed, if it runs.
    pub async fn controller_printed(&self, number: usize) -> Option<String> {
        self.controllers.lock().await[number].as_ref().map(Service::printed)
    }

    /// The process id of controller `number`, if it runs.
    pub async fn controller_pid(&self, number: usize) -> Option<u32> {
        self.controllers.lock().await[number].as_ref().and_then(Service::pid)
    }

    /// Starts a controller of another account, with these variables more or others. It is the caller's to end.
    pub async fn controller_of(&self, account: Account, more: &[(&'static str, String)]) -> anyhow::Result<Service> {
        self.spawn_controller(account.name, account, more).await
    }

    async fn start_controller(&self, number: usize) -> anyhow::Result<Service> {
        self.spawn_controller(&format!("keyward-controller-{number}"), CONTROLLER, &[]).await
    }

    async fn spawn_controller(
        &self,
        name: &str,
        account: Account,
        more: &[(&'static str, String)],
    ) -> anyhow::Result<Service> {
        let environment = [
            ("KUBECONFIG", self.kubeconfig(account).await?.display().to_string()),
            ("KEYWARD_BROKER", broker_url()),
            ("KEYWARD_TLS_DIR", self.directory.path().join("controller-tls").display().to_string()),
            ("KEYWARD_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("KEYWARD_LEASE_NAMESPACE", NAMESPACE.to_owned()),
            ("KEYWARD_LEASE_DURATION", "6s".to_owned()),
            ("KEYWARD_COPY_LABELS", "team,app.kubernetes.io/*".to_owned()),
            ("KEYWARD_COPY_ANNOTATIONS", "note".to_owned()),
            ("KEYWARD_RESTART_WINDOW", "8s".to_owned()),
            ("KEYWARD_LOG_FORMAT", "json".to_owned()),
            ("KEYWARD_LOG_LEVEL", self.log_level.to_owned()),
        ];
        let environment = environment.into_iter().chain(more.iter().cloned()).collect();
        let program = self.programs.path("keyward-controller")?;
        let service = Service::start(name, program, &[], environment, &self.logs)?;
        service.process().line("where it serves", serving_at).await?;
        Ok(service)
    }
}

/// The metrics of a controller that runs, by what it has printed.
pub async fn metrics_of(printed: &str) -> anyhow::Result<String> {
    let admin = printed.lines().find_map(serving_at).context("it does not say where it serves")?;
    Ok(reqwest::get(format!("http://{admin}/metrics")).await?.text().await?)
}
