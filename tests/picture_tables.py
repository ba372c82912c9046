"""Tables of toy pictures on disk, with what belongs to each in further columns."""

from PIL import Image as Pillow


def write_table(folder, pictures, columns, seed=0, named_by=None):
    """Writes pictures and a table with their paths in the column `picture`.

    Args:
        folder: folder of the table, and of a folder `pictures`.
        pictures: arrays of uint8 pixels.
        columns: texts of each further column by its name.
        seed: number in the names of files.
        named_by: column whose texts are a part of the names.

    Returns:
        Path of the table.
    """
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(["picture", *columns])]
    for place, (picture, *texts) in enumerate(zip(pictures, *columns.values(), strict=True)):
        said = "" if named_by is None else "_" + columns[named_by][place].replace(" ", "_")
        name = f"pictures/{seed}_{place}{said}.png"
        Pillow.fromarray(picture).save(folder / name)
        lines.append("\t".join([name, *texts]))
    path = folder / f"rows_{seed}.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
