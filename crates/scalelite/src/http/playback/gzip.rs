//! Text that is compressed on its way.

use std::io::Write as _;

use app::ports::{BlobBytes, BlobError};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, header};

/// Whether a client takes it: `gzip` or `*`, unless at quality 0.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut anything = false;
    for coding in texts.flat_map(|text| text.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters
            .trim()
            .strip_prefix("q=")
            .map_or(1.0, |quality| quality.trim().parse::<f32>().unwrap_or_default());
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return quality > 0.0,
            "*" => anything = quality > 0.0,
            _ => {}
        }
    }
    anything
}

type GzipEncoder = GzEncoder<Vec<u8>>;

/// The same, compressed piece by piece: nothing is held longer than a piece.
pub(super) fn compress(bytes: BlobBytes) -> BlobBytes {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let pieces = stream::try_unfold(Some((bytes, encoder)), |state| async {
        let Some((mut bytes, mut encoder)) = state else { return Ok(None) };
        loop {
            let piece = bytes.next().await.transpose()?;
            let is_last = piece.is_none();
            let (packed, rest) = compress_piece(encoder, piece).await?;
            match rest {
                Some(rest) if packed.is_empty() => encoder = rest,
                rest => return Ok(Some((packed, rest.map(|encoder| (bytes, encoder))))),
            }
            if is_last {
                return Ok(None);
            }
        }
    });
    pieces.boxed()
}

/// Compresses a piece, or ends; on a thread that may take its time.
async fn compress_piece(
    mut encoder: GzipEncoder,
    piece: Option<Bytes>,
) -> Result<(Bytes, Option<GzipEncoder>), BlobError> {
    let packing = tokio::task::spawn_blocking(move || match piece {
        Some(piece) => {
            encoder.write_all(&piece)?;
            Ok((std::mem::take(encoder.get_mut()).into(), Some(encoder)))
        }
        None => Ok((encoder.finish()?.into(), None)),
    });
    let broken = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
    let packed: std::io::Result<_> = packing.await.map_err(|error| broken(&error))?;
    packed.map_err(|error| broken(&error))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use futures_util::TryStreamExt as _;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_negotiated() {
        for (accepted, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("br", false),
            ("gzip; q=x", false),
        ] {
            let value = HeaderValue::from_static(accepted);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
            assert_eq!(is_accepted(&headers), takes, "{accepted}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_compressed_is_the_same() {
        for pieces in [vec![], vec![""], vec!["a"], vec!["shapes ", "", "and ", "slides"]] {
            let bytes =
                stream::iter(pieces.clone()).map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
            let packed: Vec<Bytes> = compress(bytes.boxed()).try_collect().await.unwrap();
            let mut text = String::new();
            let packed = packed.concat();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
            assert_eq!(text, pieces.concat());
        }
    }

    #[tokio::test]
    async fn what_breaks_off_is_not_ended() {
        let error = BlobError::Unavailable("gone".to_owned());
        let bytes = stream::iter([Ok(Bytes::from_static(b"a")), Err(error)]);
        let packed: Result<Vec<Bytes>, _> = compress(bytes.boxed()).try_collect().await;
        assert!(packed.is_err());
    }
}
