//! The one binary; what it does depends on the name it is called by.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(4222);
    let mut options = natter::config::options::Options::default();
    options.listen.endpoint.port = Some(natter::config::options::endpoint::Port::Fixed(port));
    options.monitoring.http.port = Some(natter::config::options::endpoint::Port::Fixed(port + 1));
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        let _s = natter::server::Server::start(
            natter::server::Configuration {
                options,
                digest: String::new(),
            },
            None,
        )
        .await
        .unwrap();
        std::future::pending::<()>().await
    });
}
