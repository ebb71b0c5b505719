# rkepatch completion for PowerShell
Register-ArgumentCompleter -Native -CommandName 'rkepatch', 'rkepatch.exe' -ScriptBlock {
    param($current, $ast, $cursor)
    $words = @($ast.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursor } |
        ForEach-Object { if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text } })
    if ($words.Count -eq 0) { return }
    $program = $words[0]
    $rest = @($words | Select-Object -Skip 1)
    $files = $false
    $found = @(& $program __complete powershell "=$current" @rest 2>$null | ForEach-Object {
        $word, $about = $_ -split "`t", 2
        if ($word -eq ':files') { $files = $true; return }
        if ($word -eq ':nospace') { return }
        if (-not $about) { $about = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $about)
    })
    # An empty text keeps PowerShell from offering files where none belong.
    if ($found.Count -eq 0 -and -not $files) { return '' }
    $found
}
