//! Compression of text files while they are sent.

use std::io::Write as _;

use app::blocking::COMPUTING;
use app::ports::{BlobBytes, BlobError};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, header};

/// Returns whether a client accepts gzip: `gzip` or `*`, unless with quality 0. Own code: the crate
/// `headers` does not know `Accept-Encoding`.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let mut accepts_any = false;
    for coding in texts.flat_map(|text| text.split(',')) {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters
            .trim()
            .strip_prefix("q=")
            .map_or(1.0, |quality| quality.trim().parse::<f32>().unwrap_or_default());
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return quality > 0.0,
            "*" => accepts_any = quality > 0.0,
            _ => {}
        }
    }
    accepts_any
}

type GzipEncoder = GzEncoder<Vec<u8>>;

/// Compresses a stream piece by piece; no more than one piece is held in memory. Own code: the
/// crate `async-compression` compresses on the threads of the runtime.
pub(super) fn compress(bytes: BlobBytes) -> BlobBytes {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let pieces = stream::try_unfold(Some((bytes, encoder)), |state| async {
        let Some((mut bytes, mut encoder)) = state else { return Ok(None) };
        loop {
            let piece = bytes.next().await.transpose()?;
            let is_last = piece.is_none();
            let (compressed, next_encoder) = compress_piece(encoder, piece).await?;
            match next_encoder {
                Some(next_encoder) if compressed.is_empty() => encoder = next_encoder,
                next_encoder => {
                    let next_state = next_encoder.map(|encoder| (bytes, encoder));
                    return Ok(Some((compressed, next_state)));
                }
            }
            if is_last {
                return Ok(None);
            }
        }
    });
    pieces.boxed()
}

/// Compresses a piece, or finishes the stream if there is none, on a thread that may block.
async fn compress_piece(
    mut encoder: GzipEncoder,
    piece: Option<Bytes>,
) -> Result<(Bytes, Option<GzipEncoder>), BlobError> {
    let compression = COMPUTING.run(move || match piece {
        Some(piece) => {
            encoder.write_all(&piece)?;
            Ok((std::mem::take(encoder.get_mut()).into(), Some(encoder)))
        }
        None => Ok((encoder.finish()?.into(), None)),
    });
    let unavailable = |error: &dyn std::fmt::Display| BlobError::Unavailable(error.to_string());
    let compressed: std::io::Result<_> = compression.await.map_err(|error| unavailable(&error))?;
    compressed.map_err(|error| unavailable(&error))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use futures_util::TryStreamExt as _;
    use http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_accepted_by_name_or_wildcard() {
        for (header, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("br", false),
            ("gzip; q=x", false),
        ] {
            let value = HeaderValue::from_static(header);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
            assert_eq!(is_accepted(&headers), expected, "{header}");
        }
        assert!(!is_accepted(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn decompressed_text_equals_the_original() {
        for pieces in [vec![], vec![""], vec!["a"], vec!["shapes ", "", "and ", "slides"]] {
            let bytes =
                stream::iter(pieces.clone()).map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
            let compressed: Vec<Bytes> = compress(bytes.boxed()).try_collect().await.unwrap();
            let mut text = String::new();
            let compressed = compressed.concat();
            flate2::read::GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).unwrap();
            assert_eq!(text, pieces.concat());
        }
    }

    #[tokio::test]
    async fn a_failed_source_fails_the_compressed_stream() {
        let error = BlobError::Unavailable("gone".to_owned());
        let bytes = stream::iter([Ok(Bytes::from_static(b"a")), Err(error)]);
        let compressed: Result<Vec<Bytes>, _> = compress(bytes.boxed()).try_collect().await;
        assert!(compressed.is_err());
    }
}
