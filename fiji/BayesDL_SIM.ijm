// BayesDL-SIM: reconstructs the open raw SIM stack, and opens the result as one hyperstack whose
// channels are SR, Aleatoric, Epistemic, Credibility and Total. The verdict goes to the log.
//
// Install: Plugins > Macros > Install..., or drop this file on the window of Fiji or ImageJ.
// It calls the program "bayesdl" (pip install . in the project folder). Give its full path in the dialog where
// Fiji does not find it; the path is kept.
//
// Without the dialog, for scripts: runMacro("BayesDL_SIM.ijm", "members=4\nmisfit=true"); the names
// are those below. "folder" is where the results go; without it, a temporary folder.

var command = "bayesdl";
var order = "orientation,phase";
var pixel_size_nm = "";
var members = "";
var misfit = false;
var force = false;
var folder = "";

if (nImages == 0)
    exit("BayesDL-SIM: open a raw SIM stack of nine frames first.");
if (bitDepth() == 24)
    exit("BayesDL-SIM: expected raw counts, found a colour (RGB) image: open the raw stack.");
if (nSlices < 9)
    exit("BayesDL-SIM: expected a stack of nine frames, found " + nSlices + ".");

command = call("ij.Prefs.get", "bayesdl.command", "bayesdl");
pixel_size_nm = pixelSizeNm();
argument = getArgument();
if (argument == "")
    askUser();
else
    readArgument(argument);
reconstruct();


function readArgument(text) {
    lines = split(text, "\n");
    for (n = 0; n < lines.length; n++) {
        cut = indexOf(lines[n], "=");
        if (cut < 0) exit("BayesDL-SIM: expected name=value, found " + lines[n]);
        name = substring(lines[n], 0, cut);
        value = substring(lines[n], cut + 1);
        if (name == "command") command = value;
        else if (name == "order") order = value;
        else if (name == "pixel_size_nm") pixel_size_nm = value;
        else if (name == "members") members = value;
        else if (name == "misfit") misfit = value == "true";
        else if (name == "force") force = value == "true";
        else if (name == "folder") folder = value;
        else exit("BayesDL-SIM: no option " + name + ".");
    }
}

function askUser() {
    Dialog.create("SIM with uncertainty");
    Dialog.addMessage("Raw stack: " + getTitle());
    Dialog.addString("Order of the frames, slowest first", order, 24);
    Dialog.addString("Pixel size of the raw frames, nm", pixel_size_nm, 24);
    Dialog.addString("Members (empty: all)", members, 24);
    Dialog.addCheckbox("Map where the frames contradict the result", false);
    Dialog.addCheckbox("Reconstruct even if the verdict refuses", false);
    Dialog.addString("Program", command, 24);
    Dialog.show();
    order = Dialog.getString();
    pixel_size_nm = Dialog.getString();
    members = Dialog.getString();
    misfit = Dialog.getCheckbox();
    force = Dialog.getCheckbox();
    command = Dialog.getString();
    call("ij.Prefs.set", "bayesdl.command", command);
}

// Pixel size that the image states, in nm; empty where it states none.
function pixelSizeNm() {
    getPixelSize(unit, width, height);
    unit = toLowerCase(unit);
    if (unit == "nm") return "" + width;
    if (startsWith(unit, "micron") || unit == "um" || endsWith(unit, "m") && lengthOf(unit) == 2 && unit != "mm" && unit != "cm")
        return "" + 1000 * width;
    return "";
}

function isWindows() {
    return startsWith(getInfo("os.name"), "Windows");
}

// One word of a command line, quoted, whatever characters it holds.
function quoted(word) {
    backslash = fromCharCode(92);
    if (isWindows()) {
        safe = substituted(word, "%", "%%");
        return "" + fromCharCode(34) + safe + fromCharCode(34);
    }
    safe = substituted(word, "'", "'" + backslash + "''");
    return "'" + safe + "'";
}

// replace() reads a regular expression, and its backslashes differ between versions of ImageJ.
function substituted(text, old, new) {
    done = "";
    rest = text;
    while (indexOf(rest, old) >= 0) {
        cut = indexOf(rest, old);
        done = done + substring(rest, 0, cut) + new;
        rest = substring(rest, cut + lengthOf(old), lengthOf(rest));
    }
    return done + rest;
}

function reconstruct() {
    title = getTitle();
    work = getDirectory("temp") + "bayesdl-" + d2s(getTime(), 0) + File.separator;
    File.makeDirectory(work);
    raw = work + "raw.tif";
    results = folder;
    if (results == "") results = work + "results";
    saveCopy(raw);
    showStatus("BayesDL-SIM: reconstructing " + title + " ...");
    line = commandLine(raw, results);
    printed = runProgram(work, line);
    printed = substituted(printed, raw, title); // instead of a path that means nothing
    gone = File.delete(raw); // without a name the log would show a 1
    print("BayesDL-SIM: " + title);
    print(printed);
    opened = openResults(results, title);
    if (opened == 0) {
        reason = lastLines(printed, 6);
        exit("BayesDL-SIM: no result of " + title + ".\n \n" + reason);
    }
    showStatus("BayesDL-SIM: " + title + " done");
}

// Saves the open image without renaming it.
function saveCopy(path) {
    original = getImageID();
    run("Duplicate...", "title=[BayesDL-SIM raw] duplicate");
    saveAs("Tiff", path);
    close();
    selectImage(original);
}

// Text goes first in every sum: old versions of ImageJ would take a function for a number.
function commandLine(raw, results) {
    line = "" + quoted(command) + " test";
    line = line + withOption("--test_data", raw);
    line = line + withOption("--save_path", results);
    line = line + withOption("--order", order);
    line = line + withOption("--pixel_size_nm", pixel_size_nm);
    line = line + withOption("--members", members);
    if (misfit) line = line + " --misfit";
    if (force) line = line + " --force";
    return line;
}

function withOption(flag, value) {
    if (value == "") return "";
    word = quoted(value);
    return " " + flag + " " + word;
}

// Runs one line by the system's shell and returns what it printed, errors too. exec() alone would
// lose them.
function runProgram(work, line) {
    logFile = work + "log.txt";
    if (isWindows()) {
        script = work + "run.bat";
        File.saveString("@chcp 65001 >nul\r\n@" + line + " > " + quoted(logFile) + " 2>&1\r\n", script);
        exec("cmd", "/c", script);
    } else {
        script = work + "run.sh";
        File.saveString(line + " > " + quoted(logFile) + " 2>&1\n", script);
        exec("sh", script);
    }
    text = "error: the program did not start: " + line;
    if (File.exists(logFile)) {
        text = File.openAsString(logFile);
        gone = File.delete(logFile);
    }
    gone = File.delete(script);
    return text;
}

// Opens Channels.tif of the folder, or of each folder in it (colours, positions); returns how many.
function openResults(results, title) {
    if (!File.isDirectory(results)) return 0;
    count = openHyperstack(results + File.separator, title);
    if (count > 0) return count;
    names = getFileList(results);
    for (n = 0; n < names.length; n++) {
        name = replace(names[n], "/", "");
        inner = results + File.separator + name + File.separator;
        shown = replace(name, "raw", title);
        if (File.isDirectory(inner))
            count = count + openHyperstack(inner, shown);
    }
    return count;
}

function openHyperstack(place, title) {
    path = place + "Channels.tif";
    large = place + "Channels.ome.tif";
    if (File.exists(path)) {
        open(path);
        rename("SR of " + title);
        return 1;
    }
    if (!File.exists(large)) return 0;
    print("The result is too large for a TIFF of ImageJ. Open it with Bio-Formats: " + large);
    return 1;
}

function lastLines(text, count) {
    lines = split(text, "\n");
    joined = "";
    for (n = maxOf(0, lines.length - count); n < lines.length; n++)
        joined = joined + lines[n] + "\n";
    return joined;
}
