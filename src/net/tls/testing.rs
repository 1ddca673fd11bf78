//! Authorities, certificates and sockets for the tests of this room.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tokio::net::{TcpListener, TcpStream};

use super::{Identity, Pem};

/// Somebody who signs.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a test wants to be odd about a leaf.
#[derive(Clone, Copy, Default)]
pub(super) struct Oddity {
    /// It has expired.
    pub(super) expired: bool,
    /// It is for servers only.
    pub(super) for_servers: bool,
}

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub(super) fn pem(&self) -> Pem {
        pem("ca.pem", &self.0.pem())
    }

    pub(super) fn server(&self, names: &[&str]) -> Identity {
        self.leaf(names, Oddity::default())
    }

    pub(super) fn leaf(&self, names: &[&str], oddity: Oddity) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("params");
        if oddity.expired {
            params.not_after = date_time_ymd(2001, 2, 3);
        }
        if oddity.for_servers {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        let leaf = params.signed_by(&key, &self.0).expect("signed");
        Identity {
            chain: pem("chain.pem", &leaf.pem()),
            key: pem("key.pem", &key.serialize_pem()),
        }
    }
}

/// A file that is not there.
pub(super) fn pem(label: &str, text: &str) -> Pem {
    Pem {
        label: label.to_owned(),
        bytes: text.as_bytes().to_vec(),
    }
}

/// Two ends of one connection.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener: TcpListener = crate::net::listen(any).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    #[allow(clippy::disallowed_methods, reason = "this is the room of sockets")]
    let (there, here) = tokio::join!(socket.connect(address), listener.accept());
    (here.expect("accepted").0, there.expect("connected"))
}
