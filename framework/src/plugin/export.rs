//! The plugin's side of the border.

use crate::{Component, Error, Result, inventory};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing_core::{Dispatch, callsite, dispatcher};

/// What the program hands to a plugin.
pub struct HostServices {
    /// Where log events go.
    pub(super) dispatch: Dispatch,
}

/// What a plugin hands to the program; empty until its entry function has filled it.
#[derive(Default)]
pub struct Handover {
    pub(super) components: Option<Result<Vec<&'static Component>>>,
}

/// The entry function of a plugin.
pub type Enter = unsafe extern "C" fn(&HostServices, &mut Handover);

/// The body of the entry function: take the program's subscriber over, and hand out every component of this library.
///
/// For [`export_plugin!`](crate::export_plugin) alone.
pub fn enter(host: &HostServices, handover: &mut Handover) {
    let work = || {
        // Fails where a subscriber is set already, as on a second call: then there is nothing to do.
        let _ = dispatcher::set_global_default(host.dispatch.clone());
        // This copy's filter still says "off".
        callsite::rebuild_interest_cache();
        // A panic becomes an error that names the component; the details go where those of the program go.
        std::panic::set_hook(Box::new(|panic| tracing::debug!("{panic}")));
        inventory::iter::<Component>.into_iter().collect()
    };
    handover.components = Some(catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Error::Panicked {
        component: "the plugin's entry".into(),
        message: crate::workers::panic_text(&*payload),
    }));
}

/// Make this crate a plugin: export its declaration and its entry function.
///
/// To be called once, in the `lib.rs` of a crate with `crate-type = ["cdylib", "rlib"]`. What the crate registered with
/// `inventory::submit!` is what the plugin brings. Name, version and authors are those of its `Cargo.toml`.
///
/// ```
/// synfire::export_plugin!();
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    () => {
        /// What this plugin was built by and from.
        #[unsafe(no_mangle)]
        pub static SYNFIRE_PLUGIN: $crate::plugin::Declaration = $crate::plugin::Declaration::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_AUTHORS"),
        );

        /// Hands this plugin's components to the program.
        #[unsafe(no_mangle)]
        pub extern "C" fn synfire_plugin_enter(
            host: &$crate::plugin::HostServices,
            handover: &mut $crate::plugin::Handover,
        ) {
            $crate::plugin::enter(host, handover);
        }
    };
}
