//! The one binary; what it does depends on the name it is called by.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    natter::cli::main(std::env::args_os())
}
