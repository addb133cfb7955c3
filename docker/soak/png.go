package soak

import (
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"slices"
)

// shrink writes a PNG anew with 256 colours: a page has few, and the picture becomes a third.
func shrink(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	src, err := png.Decode(f)
	_ = f.Close()
	if err != nil {
		return err
	}
	used := map[color.RGBA]int{}
	r := src.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(src.At(x, y)).(color.RGBA) }
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			used[at(x, y)]++
		}
	}
	// Of colours that are hardly different the one that is used most stands for all, so that those of thin lines stay.
	colors := slices.SortedFunc(maps.Keys(used), func(a, b color.RGBA) int { return cmp.Compare(used[b], used[a]) })
	alike := map[color.RGBA]bool{}
	palette := color.Palette{}
	for _, c := range colors {
		if like := (color.RGBA{c.R >> 3, c.G >> 3, c.B >> 3, 0}); !alike[like] && len(palette) < 256 {
			alike[like] = true
			palette = append(palette, c)
		}
	}
	nearest := map[color.RGBA]uint8{}
	for _, c := range colors {
		nearest[c] = uint8(palette.Index(c))
	}
	dst := image.NewPaletted(r, palette)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			dst.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, dst)
	return cmp.Or(err, out.Close())
}
