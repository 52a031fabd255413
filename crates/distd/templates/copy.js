// Buttons that copy appear only where the browser lets a page copy.
if (navigator.clipboard) for (const button of document.querySelectorAll(".copy")) {
  button.classList.add("ready");
  button.onclick = async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent.trim());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
}
