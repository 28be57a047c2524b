//! The program: parse arguments, run, print one error, exit code.

use std::io::Write;
use std::process::ExitCode;

use shadowtap::app::{self, Exit, settings};
use shadowtap::cli::settings::Failure;

/// Messages are made on one thread and dropped on another, which may run at idle priority: an allocator
/// whose threads share no lock keeps the capture from waiting for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator asks for huge pages, of which a program of a dozen megabytes fills few: they doubled its memory,
/// and clearing them cost more than they saved. A kernel that does not know the call is as it was.
fn use_small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn main() -> ExitCode {
    use_small_pages();
    let result = match settings::from_command_line(std::env::args_os().collect()) {
        Ok((cli, started)) => app::run(cli, started),
        // Usage errors exit 2 here, with clap's own words.
        Err(Failure::Usage(error)) => error.exit(),
        Err(Failure::File(problems)) => Err(settings::one_error(&problems)),
    };
    match result {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(std::io::stderr(), "shadowtap: {error:#}");
            ExitCode::from(Exit::Failed.code())
        }
    }
}
