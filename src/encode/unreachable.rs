//! Tokens that no text ever comes to.
//!
//! A token whose own bytes do not merge to it is made by no merges in any text. At the moment before a token is made
//! somewhere, no merge has crossed its ends, and each merge inside of it was the one of lowest rank, and of those the
//! leftmost, of all the text and so of its bytes alone: they are the merges that its bytes by themselves begin with, and
//! the last of them makes the token. It is the argument of `vocab/recovery.rs`, with characters in the place of bytes
//! where merges start from these.
//!
//! That is all that is claimed. A token that its merges reach may still be in no text, as the pattern cuts inside of it
//! wherever it stands, or a normalizer changes it; and where whole pre-tokens are taken as they are, any text may be one.

use super::naive;
use super::tokenizer::Tokenizer;
use crate::vocab::{TokenId, byte_tokens};

impl Tokenizer {
    /// The ordinary tokens that no text ever comes to, by id: their own bytes do not merge to them; nor can they be a whole
    /// pre-token, which needs [`whole_pieces`](crate::vocab::TokenizerSpec::whole_pieces) and bytes that are text; nor
    /// are they added tokens, or stand for bytes or what is unknown in a vocabulary of characters.
    ///
    /// What stands here is in no text. What does not may be in none either: where the pattern always cuts inside of it.
    ///
    /// ```
    /// use ciyuan::encode::Tokenizer;
    /// use ciyuan::segment::HanEdges;
    /// use ciyuan::vocab::TokenizerSpec;
    /// // ab, bc, and abc of a and bc: but in abc, ab comes first.
    /// let spec = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[(64, 65), (65, 66), (64, 257)], &[])?;
    /// assert_eq!(Tokenizer::new(spec)?.unreachable(), [258]);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    #[must_use]
    pub fn unreachable(&self) -> Vec<TokenId> {
        let spec = self.spec();
        let of_bytes = self.character_model().map(|_| byte_tokens(spec.vocab()));
        let unknown = spec.characters().and_then(|units| units.unknown());
        let is_reached = |id: TokenId, bytes: &[u8]| match (self.character_model(), std::str::from_utf8(bytes)) {
            (None, _) => self.reached_tokens().has(id),
            (Some(model), Ok(text)) => {
                let mut tokens = Vec::new();
                model.units(text, |id, _| tokens.push(id));
                naive::merge(self.pairs(), &mut tokens);
                tokens == [id]
            }
            // Tokens of characters are text.
            (Some(_), Err(_)) => false,
        };
        let is_named = |id: TokenId| {
            spec.added_token(id).is_some() || unknown == Some(id) || of_bytes.is_some_and(|ids| ids.contains(&Some(id)))
        };
        let is_whole = |bytes: &[u8]| spec.whole_pieces() && std::str::from_utf8(bytes).is_ok();
        let tokens = spec.vocab().iter();
        tokens
            .filter(|(id, bytes)| !is_named(*id) && !is_whole(bytes) && !is_reached(*id, bytes))
            .map(|(id, _)| id)
            .collect()
    }
}
