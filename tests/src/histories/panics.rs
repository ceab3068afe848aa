//! Panics of a history's tasks. The programs catch them and go on, which is right; that there was one is a fault all the
//! same, of theirs or of the simulation's.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static MET: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// From now on panics of this thread are noted and not printed.
pub fn watch() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let whence = || std::backtrace::Backtrace::force_capture().to_string();
            let ours = |line: &&str| line.contains("bricklayer_") && !line.contains("panics");
            let noted = MET.with_borrow_mut(|met| {
                let Some(met) = met else { return false };
                let whence: Vec<String> = whence().lines().filter(ours).take(12).map(str::to_owned).collect();
                met.push(format!("{panic}\n{}", whence.join("\n")));
                true
            });
            if !noted {
                print(panic);
            }
        }));
    });
    MET.set(Some(Vec::new()));
}

/// Those since; they are printed again from now on.
pub fn met() -> Vec<String> {
    MET.take().unwrap_or_default()
}
