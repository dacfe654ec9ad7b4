# SPDX-License-Identifier: Apache-2.0
<#
.SYNOPSIS
    Runs what of docs/windows-checklist.md a program can judge, on a Windows with WSL2.
.DESCRIPTION
    Each item by its number: PASS, FAIL with what was seen, or SKIP with what it takes. Run it from an
    elevated PowerShell (5.1 or 7) with Rancher Desktop running, and once more unelevated. It installs and
    restarts the service; containers' connections end. The exit code is the number of failures.
.PARAMETER Only
    Numbers of the items to run; all by default.
#>
param(
    [int[]]$Only,
    [string]$Distribution = 'rancher-desktop',
    [string]$Pipe = 'docker_engine'
)

Set-StrictMode -Version Latest
$Service = 'RancherDesktopLink'
$Admin = ([Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()).IsInRole(
    [Security.Principal.WindowsBuiltInRole]::Administrator)
$script:Failures = 0

class SkipException : Exception {
    SkipException([string]$why) : base($why) { }
}

function Assert([bool]$holds, [string]$otherwise) {
    if (-not $holds) { throw $otherwise }
}

function Need-Admin {
    if (-not $Admin) { throw [SkipException]::new('administrators only: run it elevated') }
}

function Get-Status {
    rdlink.exe status --json | Out-String | ConvertFrom-Json
}

# Until the condition holds; an error counts as "not yet".
function Wait-For([scriptblock]$condition, [int]$seconds, [string]$what) {
    $end = (Get-Date).AddSeconds($seconds)
    while ((Get-Date) -lt $end) {
        try { if (& $condition) { return } } catch { Write-Verbose "$_" }
        Start-Sleep -Milliseconds 100
    }
    throw "not within $seconds s: $what"
}

function Test-Item([int]$number, [string]$title, [scriptblock]$judge) {
    if ($Only -and $number -notin $Only) { return }
    try {
        & $judge | Out-Null
        Write-Output ("PASS {0,2} {1}" -f $number, $title)
    } catch [SkipException] {
        Write-Output ("SKIP {0,2} {1} ({2})" -f $number, $title, $_.Exception.Message)
    } catch {
        $script:Failures++
        Write-Output ("FAIL {0,2} {1} ({2})" -f $number, $title, $_.Exception.Message)
    }
}

# An item that takes a person; @needs says what for.
function Skip-Item([int]$number, [string]$title, [string]$needs) {
    if ($Only -and $number -notin $Only) { return }
    Write-Output ("SKIP {0,2} {1} (by hand: {2})" -f $number, $title, $needs)
}

Test-Item 1 'Machines are found.' {
    wsl.exe -d $Distribution true
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\HostComputeService\VolatileStore\ComputeSystem'
    Assert (@(Get-ChildItem $key).Count -ge 1) 'no machine is listed while a distribution runs'
}
Test-Item 2 'Dial, options, half-close.' {
    Wait-For { (Get-Status).ready } 10 'the status says ready'
    $said = 'hello' | docker.exe run -i --rm busybox cat
    Assert ($said -eq 'hello') "cat said '$said'"
}
Test-Item 3 'A connect that nobody answers ends in time.' {
    wsl.exe -d $Distribution -u root systemctl stop rdlink-bridge.socket rdlink-bridge.service
    try {
        $took = Measure-Command { docker.exe version 2>&1 | Out-Null }
        Assert ($took.TotalSeconds -lt 2) "it took $($took.TotalSeconds) s"
    } finally {
        wsl.exe -d $Distribution -u root systemctl start rdlink-bridge.socket rdlink-bridge.service
    }
}
Skip-Item 4 'Listening for the guest.' 'an unmodified Rancher Desktop guest'
Skip-Item 5 'Ownership.' 'a second account'
Skip-Item 6 'The machine dies.' 'it ends every distribution'
Skip-Item 7 'Suspend.' 'puts the computer to sleep'
Skip-Item 8 'The client mask 0x12019b suffices.' 'an account in docker-users'
Test-Item 9 'Clients cannot add instances.' {
    if ($Admin) { throw [SkipException]::new('administrators may: run this one unelevated') }
    $refused = $false
    try {
        [IO.Pipes.NamedPipeServerStream]::new($Pipe, 'InOut', 255).Dispose()
    } catch [UnauthorizedAccessException] {
        $refused = $true
    }
    Assert $refused 'an instance of the pipe was made'
}
Skip-Item 10 'Others stay out.' 'a second account and computer'
Skip-Item 11 'Over ssh.' 'an ssh server'
Skip-Item 12 'The descriptor is what we wrote.' 'accesschk'
Skip-Item 13 'The name cannot be taken.' 'a race by hand'
Skip-Item 14 'A name that is taken.' 'Docker Desktop'
Skip-Item 15 'The claim is not reachable.' 'a race by hand'
Skip-Item 16 'Half-close by the real client.' 'images and files to load and save'
Test-Item 17 'Many clients.' {
    $jobs = 1..64 | ForEach-Object { Start-Job { docker.exe version 2>&1 | Out-Null; $LASTEXITCODE } }
    $codes = $jobs | Wait-Job -Timeout 120 | Receive-Job
    $jobs | Remove-Job -Force
    Assert (@($codes | Where-Object { $_ -eq 0 }).Count -eq 64) "exit codes: $codes"
}
Test-Item 18 'Install, start, stop, shutdown.' {
    Need-Admin
    rdlinkd.exe install | Out-Null
    Assert ($LASTEXITCODE -eq 0) 'install failed'
    rdlinkd.exe start | Out-Null
    $state = (rdlinkd.exe status) -join "`n"
    Assert ($state -notmatch 'NOT SET') $state
    Assert ((sc.exe query $Service) -join '' -match 'ACCEPTS_PRESHUTDOWN') 'it does not accept a preshutdown'
    $took = Measure-Command { rdlinkd.exe stop | Out-Null }
    Assert ($took.TotalSeconds -lt 5) "stopping took $($took.TotalSeconds) s"
    rdlinkd.exe start | Out-Null
}
Test-Item 19 'It is restarted.' {
    Need-Admin
    $old = (Get-Status).program.pid
    Stop-Process -Id $old -Force
    Wait-For { $now = (Get-Status).program.pid; $now -and $now -ne $old } 5 'another process answers'
}
Test-Item 20 'Workers die with the controller.' {
    Need-Admin
    $status = Get-Status
    $workers = @($status.components.pid)
    Stop-Process -Id $status.program.pid -Force
    Start-Sleep -Milliseconds 900
    $left = @($workers | Where-Object { Get-Process -Id $_ -ErrorAction SilentlyContinue })
    Assert ($left.Count -eq 0) "still there: $left"
    Wait-For { (Get-Status).ready } 30 'it is back'
}
Skip-Item 21 'Waking up.' 'puts the computer to sleep'
Test-Item 22 'Few privileges.' {
    Need-Admin
    $wanted = (sc.exe qprivs $Service) -join ' '
    Assert ($wanted -match 'SeChangeNotifyPrivilege' -and $wanted -match 'SeImpersonatePrivilege') $wanted
    $program = (Get-Status).program
    Assert ($program.account -eq 'NT AUTHORITY\SYSTEM') $program.account
    Assert ($program.token.StartsWith('2 privileges')) $program.token
}
Skip-Item 23 'A restricted token.' 'changes the service for an experiment'
Test-Item 24 'Planted libraries.' {
    Need-Admin
    $folder = Split-Path (Get-Command rdlinkd.exe).Source
    $planted = 'version.dll', 'cryptbase.dll' | ForEach-Object { Join-Path $folder $_ }
    $planted | ForEach-Object { Copy-Item "$env:windir\System32\hid.dll" $_ }
    try {
        rdlinkd.exe stop | Out-Null
        rdlinkd.exe start | Out-Null
        $loaded = Get-Process rdlinkd | ForEach-Object Modules | Where-Object FileName -Like "$folder\*.dll"
        Assert (-not $loaded) "loaded from beside the program: $($loaded.FileName)"
    } finally {
        rdlinkd.exe stop | Out-Null
        $planted | Remove-Item -Force
        rdlinkd.exe start | Out-Null
    }
}
Skip-Item 25 'Ctrl-C, closing the window, logging off' 'a window to close'
Skip-Item 26 'PowerShell completes.' 'keys to press'
Test-Item 27 'A bug report.' {
    $place = New-Item -ItemType Directory (Join-Path $env:TEMP "rdlink-$PID")
    Push-Location $place
    try {
        rdlink.exe bugreport | Out-Null
        tar.exe xf (Get-ChildItem *.tar).Name
        $named = Get-ChildItem -Recurse -File -Exclude *.tar | Select-String -SimpleMatch "\$env:USERNAME\"
        Assert (-not $named) "a folder of the user is named: $($named | Select-Object -First 1)"
    } finally {
        Pop-Location
        Remove-Item -Recurse -Force $place
    }
}
Skip-Item 28 'Echo without rights.' 'a guest at the switch alone'
Skip-Item 29 'Names are resolved as Windows does it.' 'names of your network'
Skip-Item 30 'A refused dial is fast.' 'a guest at the switch alone'
Skip-Item 31 'An excluded port says so.' 'a port of your own list'
Skip-Item 32 'Reset cuts what is queued.' 'a guest at the switch alone'
Skip-Item 33 'A VPN''s routes are seen.' 'a VPN'
Skip-Item 34 'A browser draws it, and only who may has the token.' 'browsers, and a second account'
Skip-Item 35 'The policy editor takes the template.' 'the policy editor'
Skip-Item 36 'Only administrators decide.' 'an unelevated window'
Test-Item 37 'Workers have little.' {
    foreach ($worker in (Get-Status).components) {
        Assert ($worker.account -eq 'NT AUTHORITY\SYSTEM') "$($worker.name): $($worker.account)"
        Assert ($worker.token -eq '1 privilege, no administrator, medium integrity') "$($worker.name): $($worker.token)"
    }
}
Test-Item 38 'Mitigations are on.' {
    $status = Get-Status
    $all = 'dynamicCode, extensionPoints, imageLoad, strictHandle, fonts'
    Assert ($status.program.mitigations -eq $all) $status.program.mitigations
    foreach ($worker in $status.components) {
        Assert ($worker.mitigations -eq "$all, win32k, childProcess") "$($worker.name): $($worker.mitigations)"
    }
}
Test-Item 39 'The owner is found.' {
    $status = Get-Status
    $known = $status.conditions | Where-Object type -EQ OwnerKnown
    Assert ($known.reason -eq 'OwnerFound') "$($known.reason): $($known.message)"
    Assert ($status.endpoints[0].granted -contains $status.instances[0].owner) 'the owner is not granted'
}
Skip-Item 40 'A second user.' 'a second account'
Test-Item 41 'It sets itself up.' {
    Need-Admin
    $program = (Get-Command rdlinkd.exe).Source
    rdlinkd.exe uninstall | Out-Null
    New-Service -Name $Service -BinaryPathName "`"$program`" service" -StartupType Automatic | Out-Null
    rdlinkd.exe start | Out-Null
    $state = (rdlinkd.exe status) -join "`n"
    Assert ($state -notmatch 'NOT SET') $state
    rdlinkd.exe stop | Out-Null
    rdlinkd.exe start | Out-Null
    Assert ((Get-Status).program.token.StartsWith('2 privileges')) (Get-Status).program.token
}
Skip-Item 42 'A trap is refused.' 'a computer without rdlink'
Skip-Item 43 'Orders are for administrators, and check knows whose a pipe is.' 'an unelevated window too'
Skip-Item 44 'Waking up.' 'somebody who wakes it'
Skip-Item 45 'Install, quietly.' 'the MSI, and a computer without rdlink'
Test-Item 46 'Settings of the service.' {
    Assert ("$(sc.exe qc $Service)" -match 'BINARY_PATH_NAME\s*:\s*"') 'the path of the program is not quoted'
    Assert ((sc.exe qfailure $Service | Select-String 'RESTART').Count -eq 7) 'not seven restarts'
    Assert ("$(sc.exe qsidtype $Service)" -match 'UNRESTRICTED') 'no service SID'
    Assert ("$(sc.exe sdshow $Service)" -match ';CCLCSWLORC;;;IU') 'interactive users have other rights'
}
Test-Item 47 'The data folder is protected.' {
    $acl = Get-Acl "$env:ProgramData\rdlink\keys"
    Assert $acl.AreAccessRulesProtected 'it inherits'
    $who = $acl.Access | ForEach-Object { $_.IdentityReference.Translate([Security.Principal.SecurityIdentifier]).Value }
    $others = $who | Where-Object { $_ -notin 'S-1-5-18', 'S-1-5-32-544' }
    Assert (-not $others) "others have access: $others"
}
Skip-Item 48 'Firewall rules count.' 'a restart, and another computer'
Skip-Item 49 'Upgrade while it is used.' 'a newer MSI'
Skip-Item 50 'Repair and downgrade.' 'two MSIs'
Skip-Item 51 'Removal.' 'takes the service away'
Skip-Item 52 'winget.' 'winget, and the MSI where its manifest says'
Skip-Item 53 'Signatures.' 'a certificate'
Test-Item 54 'Entries of the Event Log have texts.' {
    Need-Admin
    $since = Get-Date
    rdlinkd.exe stop | Out-Null
    rdlinkd.exe start | Out-Null
    Wait-For {
        $entries = Get-WinEvent -FilterHashtable @{ LogName = 'Application'; ProviderName = $Service; StartTime = $since }
        $script:Entries = @($entries)
        @($entries | Where-Object Id -eq 1).Count -eq 1
    } 10 'an entry with number 1'
    $numbers = $script:Entries | ForEach-Object Id
    Assert (3 -in $numbers) "no entry says that it stopped: $numbers"
    $first = $script:Entries | Where-Object Id -eq 1
    Assert ($first.Message -match '^Rancher Desktop Link started\.\s+rdlinkd .* started, pid') $first.Message
}

exit $script:Failures
