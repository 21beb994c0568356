@echo off
rem Makes .venv beside this file with everything the project needs (Windows, cmd). What setup.sh
rem does elsewhere. Takes Python 3.11 to 3.14 from the launcher "py", or "python" from PATH.
rem
rem     setup.bat                          the programs
rem     setup.bat requirements-test.txt    the tests, too
setlocal
set "root=%~dp0"
set "requirements=%~1"
if not defined requirements set "requirements=requirements.txt"
if not exist "%root%%requirements%" (
    echo error: no file %requirements% in %root% 1>&2
    exit /b 2
)

set "python="
for %%v in (3.12 3.11 3.13 3.14) do if not defined python (
    py -%%v -c "import venv" >nul 2>&1 && set "python=py -%%v"
)
if not defined python (
    python -c "import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))" >nul 2>&1 && set "python=python"
)
if not defined python (
    echo error: no Python 3.11 to 3.14 found: install one from python.org, with the launcher "py" 1>&2
    exit /b 2
)

rem The mark .unfinished stands while packages are copied: an interrupted set-up starts again.
set "venv=%root%.venv"
set "unfinished=%venv%\.unfinished"
if exist "%unfinished%" rmdir /s /q "%venv%"
if not exist "%venv%\Scripts\python.exe" (
    echo Making the virtual environment .venv with %python% ...
    %python% -m venv "%venv%" || exit /b 2
)
type nul > "%unfinished%"
echo Installing the packages of %requirements% into .venv; this takes some minutes ...
"%venv%\Scripts\python.exe" -m pip install --disable-pip-version-check -r "%root%%requirements%"
if errorlevel 1 (
    echo error: pip could not install the packages, its reason is above: check the network and the disk, then run this again 1>&2
    exit /b 2
)
del "%unfinished%"
echo.
echo Ready. To reconstruct the demo stack:
echo     .venv\Scripts\python test.py --test_data data\cristae\raw.tif --save_path runs\cristae
exit /b 0
