//! A case of the contract: one behaviour, its name, and how to check it.

use std::sync::Arc;

use app::ports::{PoolStore, StateStore};
use futures_util::future::{BoxFuture, LocalBoxFuture};

/// Creates the stores of a case: each call returns a new, empty store, independent of the others.
pub type StoreFactory<'a, S> = &'a dyn Fn() -> BoxFuture<'static, Arc<S>>;

/// A store factory that owns what its stores need, such as a directory.
pub type OwnedStoreFactory<S> = Box<dyn Fn() -> BoxFuture<'static, Arc<S>>>;

/// Boxes a closure that creates stores.
#[must_use]
pub fn store_factory<S: ?Sized>(
    create: impl Fn() -> BoxFuture<'static, Arc<S>> + 'static,
) -> OwnedStoreFactory<S> {
    Box::new(create)
}

type CheckFn<S> = dyn for<'a> Fn(StoreFactory<'a, S>) -> LocalBoxFuture<'a, ()> + Send + Sync;

/// One behaviour that every implementation of the port `S` must show.
pub struct ContractCase<S: ?Sized> {
    name: String,
    is_racing: bool,
    check: Arc<CheckFn<S>>,
}

impl<S: ?Sized + 'static> ContractCase<S> {
    /// `module` is the path of the module that defines the case.
    pub(super) fn new(
        module: &str,
        name: &str,
        check: impl for<'a> Fn(StoreFactory<'a, S>) -> LocalBoxFuture<'a, ()> + Send + Sync + 'static,
    ) -> Self {
        let module = module.rsplit("contract::").next().unwrap_or(module);
        let name = format!("{module}::{name}");
        Self { name, is_racing: false, check: Arc::new(check) }
    }

    /// The name: `MODULE::CASE`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the case needs a runtime with several threads, since it makes calls at the same
    /// time.
    #[must_use]
    pub fn is_racing(&self) -> bool {
        self.is_racing
    }

    /// Checks the behaviour on stores of this factory.
    ///
    /// # Panics
    /// When a store behaves otherwise.
    pub async fn check(&self, factory: StoreFactory<'_, S>) {
        (self.check)(factory).await;
    }
}

impl ContractCase<dyn PoolStore> {
    /// The same case for implementations of all ports of state.
    pub(super) fn on_state_stores(self) -> ContractCase<dyn StateStore> {
        let Self { name, is_racing, check } = self;
        let case = ContractCase::new("", "", move |factory: StoreFactory<'_, dyn StateStore>| {
            let check = Arc::clone(&check);
            Box::pin(async move { check(&|| as_pool_store(factory)).await })
        });
        ContractCase { name, is_racing, ..case }
    }
}

fn as_pool_store(
    factory: StoreFactory<'_, dyn StateStore>,
) -> BoxFuture<'static, Arc<dyn PoolStore>> {
    let store = factory();
    Box::pin(async move { store.await as Arc<dyn PoolStore> })
}

/// Marks cases that make calls at the same time.
pub(super) fn racing<S: ?Sized>(cases: Vec<ContractCase<S>>) -> Vec<ContractCase<S>> {
    cases.into_iter().map(|case| ContractCase { is_racing: true, ..case }).collect()
}

/// Makes a list of cases from functions of the same module.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        vec![$($crate::contract::ContractCase::new(
            module_path!(),
            stringify!($case),
            |factory| Box::pin($case(factory)),
        )),*]
    };
}
pub(super) use cases;
