//! Making apps and changing their settings.

use dist_model::decide::{self, AppIntent};
use dist_model::{App, AppChanges, Scope, Slug};
use persist::SqlRead;
use serde_json::{Value, json};

use crate::access::no_such_app;
use crate::idempotency::Receipted;
use crate::{Caller, Error, Idempotency, Service, rows};

impl Service {
    /// Makes an app.
    pub async fn create_app(
        &self,
        caller: &Caller,
        slug: Slug,
        mut settings: AppChanges,
        idempotency: Option<Idempotency>,
    ) -> Result<App, Error> {
        settings.visibility.get_or_insert(self.setup().defaults.visibility);
        self.write_once(caller, idempotency, move |tx, scene| {
            scene
                .caller
                .require(Scope::Admin, Some(&slug), None, scene.context.now)?;
            let existing = rows::app_by_slug(&*tx, &slug)?;
            Ok(decide::create_app(
                existing.as_ref(),
                &slug,
                &AppIntent { settings },
                &scene.context,
                &mut scene.ids(),
            )?)
        })
        .await
    }

    /// Changes an app's settings; what is absent stays.
    pub async fn update_app(&self, caller: &Caller, slug: &Slug, changes: AppChanges) -> Result<App, Error> {
        let slug = slug.clone();
        self.write(caller, move |tx, scene| {
            scene
                .caller
                .require(Scope::Admin, Some(&slug), None, scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            Ok(decide::update_app(&app, &changes, &scene.context)?)
        })
        .await
    }
}

impl Receipted for App {
    fn receipt(&self) -> Value {
        json!({ "app": self.id })
    }

    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        let id = receipt["app"].as_str().ok_or_else(broken)?;
        rows::app_by_id(tx, &id.parse()?)?.ok_or_else(broken)
    }
}
