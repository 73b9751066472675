"""Picture of the factor report: `DISTAFF_DATA=data python docs/figures/report.py`, with Chromium."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium import webdriver

import distaff as ds

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1] / "benchmarks"))

from _data import DATA, kang, one_thread  # noqa: E402

SHOWN = "Factor 3"
SIZE = {"width": 1400, "height": 1120, "deviceScaleFactor": 1, "mobile": False}


def main() -> None:
    """Fit, test, write the page and take its picture."""
    one_thread()
    adata, _ = kang(1500)
    ds.pp.gene_sets(adata, DATA / "hallmark_v7.5.1.symbols.gmt", min_genes=5)
    ds.model.ProgramVAE.setup_anndata(adata)
    model = ds.model.ProgramVAE(adata, n_latent=10)
    model.train(60, seed=0, accelerator="cpu", enable_progress_bar=False)
    for tool in (ds.tl.latent, ds.tl.loadings, ds.tl.factors):
        tool(adata, model)
    ds.tl.umap(adata)
    ds.tl.rank_factors(adata, "condition", reference="ctrl", sample_key="donor")
    ds.tl.enrich(adata)
    ds.tl.disentanglement(adata, ["cell_type", "condition"])
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        ds.report(adata, page)
        picture(f"{page.as_uri()}#factor/{SHOWN}", FOLDER / "report.png")


def picture(address: str, target: Path) -> None:
    """Write what a window of Chromium shows at the address."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
        driver.get(address)
        driver.execute_async_script("setTimeout(arguments[0], 500)")
        driver.save_screenshot(str(target))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
