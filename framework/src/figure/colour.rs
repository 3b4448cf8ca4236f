//! Colours: a palette and colour maps that colour-blind readers can tell apart.

use serde::{Deserialize, Serialize};

/// An opaque colour, stored as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour {
    /// Red, 0 to 255.
    pub red: u8,
    /// Green, 0 to 255.
    pub green: u8,
    /// Blue, 0 to 255.
    pub blue: u8,
}

impl Colour {
    /// Near black, for reference values and text.
    pub const BLACK: Self = Self::hex(0x22_22_22);
    /// Middle grey, for what stands in the background.
    pub const GREY: Self = Self::hex(0x8a_8a_8a);
    /// White.
    pub const WHITE: Self = Self::hex(0xff_ff_ff);

    /// The colour `0xrrggbb`.
    pub const fn hex(code: u32) -> Self {
        Self { red: (code >> 16) as u8, green: (code >> 8) as u8, blue: code as u8 }
    }

    /// Colour `index` of the palette, which repeats after eight.
    ///
    /// The colours of Okabe and Ito (2008) without the yellow that vanishes on white, with a wine red of Tol's in its
    /// place.
    pub const fn palette(index: usize) -> Self {
        const CODES: [u32; 8] =
            [0x00_72_b2, 0xd5_5e_00, 0x00_9e_73, 0xe6_9f_00, 0xcc_79_a7, 0x56_b4_e9, 0x88_22_55, 0x6b_6b_6b];
        Self::hex(CODES[index % CODES.len()])
    }

    /// A mixture with `other`, which gets `share` (0 to 1) of it.
    pub fn mix(self, other: Self, share: f64) -> Self {
        let share = share.clamp(0.0, 1.0);
        let channel = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
        Self {
            red: channel(self.red, other.red),
            green: channel(self.green, other.green),
            blue: channel(self.blue, other.blue),
        }
    }

    /// Whether black text on this colour reads better than white text.
    pub fn is_light(self) -> bool {
        0.299 * f64::from(self.red) + 0.587 * f64::from(self.green) + 0.114 * f64::from(self.blue) > 140.0
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        format!("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue)
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let code = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let code = code.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        code.map(Self::hex).ok_or_else(|| format!("colour '{text}' is not of the form #rrggbb"))
    }
}

/// How a number becomes a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColourMap {
    /// From little (dark) to much (light), evenly to the eye: viridis.
    #[default]
    Sequential,
    /// From little (light) to much (dark): viridis turned round, where much is what one looks for on white.
    SequentialReversed,
    /// Blue below the middle, white at it, red above; limits are taken symmetric around 0.
    Diverging,
    /// Both ends have the same colour: for angles and phases.
    Cyclic,
}

impl ColourMap {
    /// The colour at `share` of the way from the lower to the upper limit.
    pub fn at(self, share: f64) -> Colour {
        let stops = self.stops();
        let at = share.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let index = (at.floor() as usize).min(stops.len() - 2);
        Colour::hex(stops[index]).mix(Colour::hex(stops[index + 1]), at - index as f64)
    }

    /// Evenly spaced colours as `0xrrggbb`, at least two.
    pub(super) fn stops(self) -> &'static [u32] {
        match self {
            Self::Sequential => {
                &[0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e, 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725]
            }
            Self::SequentialReversed => {
                &[0xfde725, 0xb5de2b, 0x6ece58, 0x35b779, 0x1f9e89, 0x26828e, 0x31688e, 0x3e4989, 0x482878, 0x440154]
            }
            Self::Diverging => &[
                0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b,
                0x67001f,
            ],
            Self::Cyclic => {
                &[0xe2d9e2, 0x9ebbc9, 0x6785be, 0x5e43a5, 0x421257, 0x471340, 0x8e2c50, 0xba6657, 0xceac94, 0xe2d9e2]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_hit_their_ends_and_clamp() {
        assert_eq!(ColourMap::Sequential.at(0.0), Colour::hex(0x440154));
        assert_eq!(ColourMap::Sequential.at(7.0), Colour::hex(0xfde725));
        let reversed = ColourMap::SequentialReversed.stops().iter().rev();
        assert!(reversed.eq(ColourMap::Sequential.stops()));
        assert_eq!(ColourMap::Diverging.at(0.5), Colour::hex(0xf7f7f7));
        assert_eq!(ColourMap::Cyclic.at(0.0), ColourMap::Cyclic.at(1.0));
        assert_eq!(ColourMap::Sequential.at(f64::NAN), ColourMap::Sequential.at(f64::NAN));
    }

    #[test]
    fn colours_are_stored_as_text() {
        let json = serde_json::to_string(&Colour::palette(0)).expect("serialises");
        assert_eq!(json, "\"#0072b2\"");
        assert_eq!(serde_json::from_str::<Colour>(&json).expect("reads"), Colour::palette(8));
        assert!(serde_json::from_str::<Colour>("\"blue\"").is_err());
    }
}
