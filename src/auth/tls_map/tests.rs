//! Certificates made with openssl; the expected names are what a peer wrote to its log
//! for the same certificates.

use data_encoding::BASE64;
use proptest::prelude::*;

use super::*;

fn der(base64: &str) -> Vec<u8> {
    BASE64.decode(base64.as_bytes()).unwrap()
}

/// Holds a certificate's alternative names, subject and written names against the expected.
fn check(certificate: &str, alternative: &[&str], subject: Option<&str>, written: &[&str]) {
    let names = CertificateNames::from_der(&der(certificate)).unwrap();
    assert_eq!(names.alternative, alternative);
    let subject = subject.map(|text| DistinguishedName::parse(text).unwrap());
    assert_eq!(names.subject, subject.unwrap_or_default());
    assert_eq!(names.written, written);
}

#[test]
fn alternative_names_come_in_order_of_their_kinds() {
    check(
        SAN,
        &[
            "ops@example.com",
            "h.example.com",
            "z.example.com",
            "spiffe://x/y",
        ],
        Some("O=Ex,CN=nats"),
        &["CN=nats,O=Ex"],
    );
}

#[test]
fn a_certificate_without_subject_has_its_alternative_names() {
    check(NOSUBJ, &["only.example.com"], None, &[]);
}

#[test]
fn domain_components_are_written_last() {
    check(
        DC,
        &[],
        Some("CN=nats client,OU=dev,OU=ops,DC=example,DC=com"),
        &[
            "CN=nats client,OU=ops+OU=dev,DC=com,DC=example",
            "CN=nats client,OU=ops+OU=dev",
        ],
    );
}

#[test]
fn unknown_attributes_end_the_comparison_by_parts() {
    check(
        MULTI,
        &[],
        None,
        &["CN=x\\\"y\\;z #,OU=a+OU=b,O=Ex\\, Inc,L=Munich,ST=Bavaria,C=DE"],
    );
    check(MULTIRDN, &[], None, &["CN=n,OU=b,DC=com", "CN=n,OU=b"]);
}

#[test]
fn several_attributes_of_one_rdn_stay_together() {
    check(
        SER,
        &[],
        Some("CN=x+serialNumber=7,O=a"),
        &["SERIALNUMBER=7,CN=x,O=a"],
    );
}

#[test]
fn the_written_order_is_fixed() {
    check(
        ALL,
        &[],
        Some("C=DE,O=3,OU=4,ST=5,L=6,STREET=7,POSTALCODE=8,CN=n,SERIALNUMBER=9"),
        &["SERIALNUMBER=9,CN=n,OU=4,O=3,POSTALCODE=8,STREET=7,L=6,ST=5,C=DE"],
    );
}

#[test]
fn only_the_last_common_name_is_written() {
    check(TWO, &[], None, &["CN=two,O=a+O=b"]);
}

#[test]
fn text_beyond_ascii_and_final_spaces_are_kept() {
    check(
        UNI,
        &[],
        Some("postalCode=8,street=s 1,serialNumber=77,CN=Jürgen\\ "),
        &["SERIALNUMBER=77,CN=Jürgen\\ ,POSTALCODE=8,STREET=s 1"],
    );
}

#[test]
fn fingerprints_are_those_of_openssl() {
    assert_eq!(
        public_key_fingerprint(&der(SAN)).unwrap(),
        "29f755a9d89c22aee0da5ecd9a637c8bf2ff11b1a7ea28916e6a74e35699f0ef"
    );
}

proptest! {
    #[test]
    fn damaged_certificates_are_read_or_refused(
        at in 0..400usize,
        byte: u8,
        len in 0..500usize,
    ) {
        for certificate in [SAN, DC, MULTI, UNI] {
            let mut bytes = der(certificate);
            bytes[at] = byte;
            bytes.truncate(len);
            let _ = CertificateNames::from_der(&bytes);
            let _ = public_key_fingerprint(&bytes);
        }
    }
}

const SAN: &str = "\
    MIIBwTCCAWigAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNMwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MDM4WhcNMzYxMTE4MDg1MDM4WjAcMQ0wCwYDVQQDDARuYXRzMQswCQYDVQQK\
    DAJFeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFKgZj/wNpXMbZ4Lkoq1pX6KcWlSnxAn7Fa9S9T7\
    qh4nIynB6tgg9cMRdqIG7NVoqfIE3kaKz9v2adinKbYuKAWjgZYwgZMwCQYDVR0TBAIwADBGBgNVHREE\
    PzA9gg1oLmV4YW1wbGUuY29tgQ9vcHNAZXhhbXBsZS5jb22GDHNwaWZmZTovL3gveYINei5leGFtcGxl\
    LmNvbTAdBgNVHQ4EFgQUEbxub5a6SDXIEudUFsSMzVLyRHkwHwYDVR0jBBgwFoAUsDdVRoS0gXOVcTdT\
    MKJhdFEB5nEwCgYIKoZIzj0EAwIDRwAwRAIgbOXjLd6z0NvX6PC8/N4mECWqB7d5RqAq3QScgIiiVSAC\
    IEgmlOBsepr4S/CJ139jXGQ/prBwaZmA3KwhTxvPv5yh";

const NOSUBJ: &str = "\
    MIIBejCCAR+gAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNgwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MDM4WhcNMzYxMTE4MDg1MDM4WjAAMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\
    QgAEzxsj/qj/iejG/4UoZn1XaXD8JEsAmNfxGNKDxDKtwu2veekeSzovjjAFawPCsBv5rHW3WQoiMqUp\
    dC0j+Gnb9qNqMGgwCQYDVR0TBAIwADAbBgNVHREEFDASghBvbmx5LmV4YW1wbGUuY29tMB0GA1UdDgQW\
    BBROdYG8ZvraNEP9pzbqn6p0hzQUvTAfBgNVHSMEGDAWgBSwN1VGhLSBc5VxN1MwomF0UQHmcTAKBggq\
    hkjOPQQDAgNJADBGAiEA6//uNZ0/bogjHnDGPVODJFeM/WnwdSCTa2oh4FtefsQCIQDTnTSn/p6OD/wG\
    lugQzvJjakMCpncToWxUrVy1Iq5wew==";

const DC: &str = "\
    MIIBvDCCAWKgAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNQwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MDM4WhcNMzYxMTE4MDg1MDM4WjBgMRMwEQYKCZImiZPyLGQBGRYDY29tMRcw\
    FQYKCZImiZPyLGQBGRYHZXhhbXBsZTEMMAoGA1UECwwDb3BzMQwwCgYDVQQLDANkZXYxFDASBgNVBAMM\
    C25hdHMgY2xpZW50MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8G6tsuJCA9KnrgGvH6rz9+lLlv0e\
    kinFXS2RYErmPFfSWt1vEqzr5amZ5mD2MJLv0KnhMISCk4flMV+nMM7af6NNMEswCQYDVR0TBAIwADAd\
    BgNVHQ4EFgQU3A7BWevA03TUYG8HlNTN1MunspAwHwYDVR0jBBgwFoAUsDdVRoS0gXOVcTdTMKJhdFEB\
    5nEwCgYIKoZIzj0EAwIDSAAwRQIgIKWsgVKbXHeAK8sZlUHtvFS94dk/WVOvp4x9TccJySkCIQDMh7Q9\
    v9UIuyXhGHI2qP/4O5h5NLqnLKxDcn36kJOrtQ==";

const MULTI: &str = "\
    MIIB8TCCAZegAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNUwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MDM4WhcNMzYxMTE4MDg1MDM4WjCBlDELMAkGA1UEBhMCREUxEDAOBgNVBAgM\
    B0JhdmFyaWExDzANBgNVBAcMBk11bmljaDEQMA4GA1UECgwHRXgsIEluYzEUMAgGA1UECwwBYTAIBgNV\
    BAsMAWIxEDAOBgNVBAMMB3gieTt6ICMxFDASBgkqhkiG9w0BCQEWBWFAYi5jMRIwEAYKCZImiZPyLGQB\
    AQwCdTEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARxdmL+8OA3ikJG4cUog97xjJtOPPYXirtlLXf2\
    mbfW/6DPctymJijliJg58S2Q5+ny5FJ2aLAT30/OABg4NU9so00wSzAJBgNVHRMEAjAAMB0GA1UdDgQW\
    BBQzNYOiPhe4vq3wwcU2s9v503LXdTAfBgNVHSMEGDAWgBSwN1VGhLSBc5VxN1MwomF0UQHmcTAKBggq\
    hkjOPQQDAgNIADBFAiA5HFC4hX2NJwscYPqucwZz9ZesNHroJA8Oz6R9f2QhuAIhANGpx3J5xDnY26WR\
    3NM0PRYwlR1nGI7cjGpbpTveyZYJ";

const MULTIRDN: &str = "\
    MIIBlTCCATqgAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNswCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MjEzWhcNMzYxMTE4MDg1MjEzWjA4MRMwEQYKCZImiZPyLGQBGRYDY29tMRQw\
    CAYDVQQDDAFuMAgGA1UECwwBYjELMAkGA1UEDAwCRHIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQk\
    PsBr3Fg6qkbL8BCG3v2KrSaO8wMDn+8J7S/jZk2z0rAilB6xJ6epo3XQjpm6M197WOmc66LaFJBuVTtC\
    WiSDo00wSzAJBgNVHRMEAjAAMB0GA1UdDgQWBBTwo1KAc7k83iL1++Sqi9sW+ZnUzjAfBgNVHSMEGDAW\
    gBSwN1VGhLSBc5VxN1MwomF0UQHmcTAKBggqhkjOPQQDAgNJADBGAiEA999e5dnrMu2YHNDEIURcdPn7\
    /PT0jFifQYpTgZljX/sCIQCytzaAVohKmTYDJPdaarfVVVCMHVDNxNtSoOkxl8daSA==";

const SER: &str = "\
    MIIBfjCCASSgAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNwwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MjEzWhcNMzYxMTE4MDg1MjEzWjAiMQowCAYDVQQKDAFhMRQwCAYDVQQDDAF4\
    MAgGA1UEBRMBNzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC5+S7uv5VzK2XA88LNpasOsFE5iZD7+\
    jzS/TolOcpFB2Nz7y7aI86L1SsD8I4tXcLjU0mohTnXXHytxCIgJi6yjTTBLMAkGA1UdEwQCMAAwHQYD\
    VR0OBBYEFCtA3Kez+BC0AvuIlAlsFbt/LqN6MB8GA1UdIwQYMBaAFLA3VUaEtIFzlXE3UzCiYXRRAeZx\
    MAoGCCqGSM49BAMCA0gAMEUCIHvxs70iJvJXbg1kiKNN+TooMmcDRt0dbo4NE+e27d4PAiEAw5tCycJ9\
    sEE6GUyslPJIbM9pw1xZgbaQHqhF/lB+THw=";

const TWO: &str = "\
    MIIBnDCCAUOgAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNcwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MDM4WhcNMzYxMTE4MDg1MDM4WjBBMQwwCgYDVQQDDANvbmUxDDAKBgNVBAMM\
    A3R3bzEKMAgGA1UECgwBYTEKMAgGA1UECgwBYjELMAkGA1UEDAwCRHIwWTATBgcqhkjOPQIBBggqhkjO\
    PQMBBwNCAARURK1fKpH7XFJ9pirE06ox/esRX4rSulvc9H3SOui9A0pHnGJ3Bz3inqwLbmPuEm1++W0g\
    MH2C62qFpQD806hFo00wSzAJBgNVHRMEAjAAMB0GA1UdDgQWBBSMoUdse4KAb4HxcmshuwZ/CycBpzAf\
    BgNVHSMEGDAWgBSwN1VGhLSBc5VxN1MwomF0UQHmcTAKBggqhkjOPQQDAgNHADBEAiAbk/JgV7EsqvKm\
    Ih0D1As0P96PXEiHabrHX3Wf5O+5BwIgFXj3t9rmy3iUVcNZxdp/e42WRcnSVaK0iqGtzC0bJN0=";

const UNI: &str = "\
    MIIBljCCATygAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnNYwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1MDM4WhcNMzYxMTE4MDg1MDM4WjA6MREwDwYDVQQDDAhKw7xyZ2VuIDELMAkG\
    A1UEBRMCNzcxDDAKBgNVBAkMA3MgMTEKMAgGA1UEEQwBODBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\
    BFLmGTZ7ek/XsdQT1yRYnKUHd3ExN+N4YL/+iDNvRj/iS5q6qarHw2bxoAikI2+US9Tg1kOym6HpX/Oy\
    V8u1lZyjTTBLMAkGA1UdEwQCMAAwHQYDVR0OBBYEFOFoX0QauwV3yCZPxp5p/L9qPtPoMB8GA1UdIwQY\
    MBaAFLA3VUaEtIFzlXE3UzCiYXRRAeZxMAoGCCqGSM49BAMCA0gAMEUCIQCimxEL1Vnlz1BjGBg4BSWg\
    Pz/kJbRgedwa8kZvubKrmAIgU5JgeeAc8OFkchFgA87B0EOQZSifVR0Ao7kLZE3dv58=";

const ALL: &str = "\
    MIIByTCCAW+gAwIBAgIUJmZSIwySN2e8yCehU6VJQW5SnN0wCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwC\
    Y2EwHhcNMjYxMTIxMDg1NjI5WhcNMzYxMTE4MDg1NjI5WjBtMQowCAYDVQQFEwE5MQowCAYDVQQDDAFu\
    MQowCAYDVQQRDAE4MQowCAYDVQQJDAE3MQowCAYDVQQHDAE2MQowCAYDVQQIDAE1MQowCAYDVQQLDAE0\
    MQowCAYDVQQKDAEzMQswCQYDVQQGEwJERTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJYV2kHxyzk6\
    2nji+30OxwerhmN8EEOWyj+c+sKjRBH3nSALRxiXLmixiYnHKw3QWGxLu7o1XuR2iN16+H8NYPyjTTBL\
    MAkGA1UdEwQCMAAwHQYDVR0OBBYEFHh4g3iUXPfRdFRlUU2PrtM8u9UsMB8GA1UdIwQYMBaAFLA3VUaE\
    tIFzlXE3UzCiYXRRAeZxMAoGCCqGSM49BAMCA0gAMEUCIQD8D9LLStcY/wHtt7BaPnTYg/Je8tsUvH8e\
    b/leiwd2WgIgOqBkhBRGofxslCf843a/0ONGUNK8a5hw/4zg/yAXyY4=";
